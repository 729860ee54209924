"""One chain of schema changes for all rooms. Each runs in a transaction, with a lock time-out."""
