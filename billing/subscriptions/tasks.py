"""Writing down that passes have run out; their rights ended by date already (R131)."""

from datetime import datetime

from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.subscriptions import service

_BATCH = 500


def works(database: Database) -> tuple[Work, ...]:
    """Ended passes."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            return await service.write_down_ends(session, at, _BATCH)

    return (Work(name="subscriptions.end", queue="bulk", next_due=service.next_end, run=run),)
