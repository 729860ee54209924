"""Looking by ourselves: every hour at the last days while there is anything to see, and every night at all that counts.

While the provider does not answer nothing is done, and the look is made again soon (F33).
"""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway
from billing.reconciliation import comparing, runs, statement
from billing.reconciliation.runs import RunKind

RECENT = "reconciliation.recent"
NIGHTLY = "reconciliation.nightly"

log = structlog.get_logger(__name__)


def works(database: Database, gateway: Gateway) -> tuple[Work, ...]:
    """The hourly and the nightly look."""
    return (_work(RECENT, "recent", database, gateway), _work(NIGHTLY, "nightly", database, gateway))


def _work(name: str, kind: RunKind, database: Database, gateway: Gateway) -> Work:
    async def next_due(session: AsyncSession) -> datetime | None:
        return await runs.next_due(session, kind)

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            begun = await runs.begin_due(session, kind, at)
        if begun is None:
            return 0
        try:
            found = await comparing.look(database, gateway, comparing.scope_of(begun), at)
            if kind == "nightly":
                await statement.read(database, gateway, at)
        except ProviderError as fault:
            log.warning("reconciliation_failed", kind=kind, fault=type(fault).__name__)
            async with database.begin() as session:
                await runs.fail(session, begun, type(fault).__name__, at)
            return 0
        async with database.begin() as session:
            await runs.end(session, begun, found.counts, at)
        log.info("reconciled", kind=kind, done=len(found.done), findings=len(found.findings), opened=found.opened)
        return 1

    return Work(name=name, queue="bulk", next_due=next_due, run=run)
