"""People's accounts, how their addresses are confirmed, and what a school blocks."""
