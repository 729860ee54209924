"""Telling that trials have ended, and forgetting seasons that are over. No right waits for any of this (R131)."""

from datetime import datetime

from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.trials import ending

_BATCH = 500


def works(database: Database) -> tuple[Work, ...]:
    """Closing trials at their end, and dropping the memory of past seasons."""

    async def close(at: datetime) -> int:
        async with database.begin() as session:
            closed = await ending.close_silently(session, at, _BATCH)
            return closed + await ending.announce_ends(session, at, _BATCH)

    async def forget(at: datetime) -> int:
        async with database.begin() as session:
            return await ending.forget_season(session, at, _BATCH)

    return (
        Work(name="trials.close", queue="bulk", next_due=ending.next_due, run=close),
        Work(name="trials.forget", queue="bulk", next_due=ending.next_forgotten, run=forget),
    )
