"""Trials of many at once."""
