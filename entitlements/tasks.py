"""Numbering what changed, and forgetting what was kept long enough. No right waits for any of this (R131)."""

from datetime import datetime

from billing.kernel.db import Database
from billing.kernel.work import Work
from entitlements import numbering
from entitlements.changes import NUMBER


def works(database: Database) -> tuple[Work, ...]:
    """Numbers within seconds, for whoever follows the changes; forgetting when there is time."""

    async def number(at: datetime) -> int:
        async with database.begin() as session:
            return await numbering.number(session, at)

    async def forget(at: datetime) -> int:
        async with database.begin() as session:
            return await numbering.forget(session, at)

    return (
        Work(name=NUMBER, queue="webhooks", next_due=numbering.next_due, run=number),
        Work(name="entitlements.forget", queue="bulk", next_due=numbering.next_forgotten, run=forget),
    )
