"""What parents see and read: language, pages, letters."""
