"""Looking by ourselves: every hour at the last days while there is anything to see, and every night at all that counts.

While the provider does not answer nothing is done, and the look is made again soon (F33).
"""

from asyncio import create_task, sleep, wait
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.clock import ticks
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway
from billing.reconciliation import comparing, runs, statement
from billing.reconciliation.runs import LEASE, Begun, RunKind

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
            async with told_alive(database, begun):
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


@asynccontextmanager
async def told_alive(database: Database, begun: Begun, every: timedelta = LEASE / 3) -> AsyncGenerator[None]:
    """Says meanwhile that the look is still under way: the books of a busy week take longer to read than a worker that
    is gone may go unnoticed."""
    since = ticks()

    async def tell() -> None:
        while True:
            await sleep(every.total_seconds())
            try:
                async with database.begin() as session:
                    await runs.alive(session, begun, begun.until + timedelta(microseconds=(ticks() - since) // 1000))
            except (SQLAlchemyError, OSError) as fault:
                log.warning("not_told_alive", fault=type(fault).__name__)

    telling = create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await wait({telling})
