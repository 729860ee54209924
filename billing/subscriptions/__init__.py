"""Paid rights over time: a season pass today, renewing ones later."""
