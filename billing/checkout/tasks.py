"""Looking after orders whose news may have been lost (R56)."""

from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.checkout import rules
from billing.checkout.fulfilment import apply_checkout
from billing.checkout.tables import OrderRow
from billing.kernel.db import Database
from billing.kernel.work import Work, some_at_once
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway

SWEEP = "checkout.sweep"
_BATCH = 20

log = structlog.get_logger(__name__)


def works(database: Database, gateway: Gateway) -> tuple[Work, ...]:
    """The sweep over unfinished orders."""

    async def next_due(session: AsyncSession) -> datetime | None:
        return await session.scalar(select(func.min(OrderRow.check_at)))

    async def run(at: datetime) -> int:
        due = await _claim(database, at)
        await some_at_once(SWEEP, due, lambda session_id: look(session_id, at))
        return len(due)

    async def look(session_id: str, at: datetime) -> None:
        try:
            page = await gateway.read_checkout(session_id)
        except ProviderError as fault:
            log.warning("order_not_read", fault=type(fault).__name__)
            return
        async with database.begin() as session:
            await apply_checkout(session, page, at)

    return (Work(name=SWEEP, queue="provider", next_due=next_due, run=run),)


async def _claim(database: Database, at: datetime) -> list[str]:
    """Orders to ask about now; each is due again later whatever comes of it, so that a crash loses nothing."""
    async with database.begin() as session:
        query = (
            select(OrderRow)
            .where(OrderRow.check_at <= at, OrderRow.session_id.is_not(None))
            .order_by(OrderRow.check_at)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = (await session.scalars(query)).all()
        for row in rows:
            row.checks += 1
            row.check_at = rules.next_check(at, row.checks)
        return [row.session_id for row in rows if row.session_id is not None]
