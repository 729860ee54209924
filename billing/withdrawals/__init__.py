"""Giving money back: refunds that the rules or the staff decided, sent once, and known to have arrived."""
