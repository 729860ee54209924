"""Many accounts at once: a file does what the routes would have done."""
