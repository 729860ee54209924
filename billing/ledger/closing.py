"""Closing a month: what was rendered becomes revenue, for each sale, on the last day of the month (R114)."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import day_of, end_of
from billing.ledger import rules
from billing.ledger.service import closing_after, held, post, service_of
from billing.ledger.spreading import earned_by
from billing.ledger.tables import LedgerSaleRow

_ONE_DAY = timedelta(days=1)
_LAST_INSTANT = timedelta(microseconds=1)


async def next_closing(session: AsyncSession) -> datetime | None:
    """When the revenue of some sale is to be booked next."""
    query = select(func.min(LedgerSaleRow.close_at)).where(LedgerSaleRow.close_at.is_not(None))
    return await session.scalar(query)


async def close_due(session: AsyncSession, at: datetime, limit: int) -> int:
    """Book what sales earned in a month that is over; answers for how many. Months that passed while nobody was there
    are closed one after the other, each as it stood at its end."""
    query = (
        select(LedgerSaleRow)
        .where(LedgerSaleRow.close_at <= at)
        .order_by(LedgerSaleRow.close_at, LedgerSaleRow.payment)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        if row.close_at is not None:
            await _close(session, row, row.close_at)
    return len(rows)


async def _close(session: AsyncSession, row: LedgerSaleRow, close_at: datetime) -> None:
    on = day_of(close_at) - _ONE_DAY
    service, then = service_of(row), await held(session, row.payment, until=on)
    earned = earned_by(then.net, service, on) - then.earned
    cause = f"{rules.CLOSING}{row.payment}:{on:%Y-%m}"
    await post(session, cause, row.order_id, rules.recognised(earned), end_of(on) - _LAST_INSTANT, sale=row.payment)
    # A refund of the new month may have come before this closing of the old one; the next closing evens that out.
    is_even = service.is_over(on) and (await held(session, row.payment)).deferred == 0
    row.close_at = None if is_even else closing_after(day_of(close_at))
