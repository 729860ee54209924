"""What must always hold, as queries that must find nothing: the oracle of the generated tests and of every night.

It reports and never repairs. A promise that a database cannot be asked for is named in `rules.NOT_ASKED`.
"""
