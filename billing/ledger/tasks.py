"""Closing the books of each month, a batch of sales at a time."""

from datetime import datetime

from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.ledger import closing

CLOSE = "ledger.close"
_BATCH = 200


def works(database: Database) -> tuple[Work, ...]:
    """Revenue of months that are over."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            return await closing.close_due(session, at, _BATCH)

    return (Work(name=CLOSE, queue="bulk", next_due=closing.next_closing, run=run),)
