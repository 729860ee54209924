"""Deleting what nothing needs any more."""

from datetime import datetime

from billing.accounts import service as accounts
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.privacy import service

_BATCH = 50


def works(database: Database) -> tuple[Work, ...]:
    """Accounts never confirmed (R90)."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            return await service.erase_unconfirmed(session, at, _BATCH)

    return (Work(name="accounts.expire", queue="bulk", next_due=accounts.next_unconfirmed, run=run),)
