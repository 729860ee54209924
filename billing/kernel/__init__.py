"""What every room stands on: settings, clock, days, money, ids, errors, database, outbox, audit, web."""
