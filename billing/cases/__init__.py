"""What waits for a person: opened once for each matter, aged, due by a day, and closed with a name and a reason."""
