"""The books: double entry in grosze, append-only; every transaction sums to zero, by the database (I09)."""
