"""The order page: reserve, ask the provider, record; and what a parent sees of it."""
