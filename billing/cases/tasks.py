"""Saying aloud which cases are near their day."""

from datetime import datetime

from billing.cases import watching
from billing.kernel.db import Database
from billing.kernel.work import Work


def works(database: Database) -> tuple[Work, ...]:
    """Warnings, once at each step of a case."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            return await watching.warn(session, at)

    return (Work(name="cases.warn", queue="bulk", next_due=watching.next_warning, run=run),)
