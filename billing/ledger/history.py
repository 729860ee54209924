"""What the books hold of orders' money at the provider, day by day: for whoever compares them with it."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.among import among
from billing.ledger.tables import LedgerLineRow

_NOT_THE_ORDERS = ("stripe_fee:", "payout:", "payout_failed:", "stray:", "stray_out:")
"""Causes that move money at the provider and are about no sale: its fees, its payouts, what nobody knows yet."""

_MOVED = and_(
    LedgerLineRow.account == "stripe_clearing",
    LedgerLineRow.order_id.is_not(None),
    not_(or_(*(LedgerLineRow.cause.startswith(start, autoescape=True) for start in _NOT_THE_ORDERS))),
)


async def orders_booked(session: AsyncSession, since: date, until: datetime) -> set[str]:
    """The orders whose money moved in the books on or after a day, and before an instant."""
    query = select(LedgerLineRow.order_id).where(_MOVED, LedgerLineRow.booked_on >= since, LedgerLineRow.at <= until)
    return {order for order in await session.scalars(query.distinct()) if order is not None}


async def moved_by_day(session: AsyncSession, orders: Collection[str], until: datetime) -> list[tuple[str, date, int]]:
    """For each of these orders and each day, what came to the provider less what left it, up to an instant."""
    if not orders:
        return []
    query = (
        select(LedgerLineRow.order_id, LedgerLineRow.booked_on, func.sum(LedgerLineRow.amount))
        .where(_MOVED, among(LedgerLineRow.order_id, orders), LedgerLineRow.at <= until)
        .group_by(LedgerLineRow.order_id, LedgerLineRow.booked_on)
    )
    return [(str(order), on, int(amount)) for order, on, amount in await session.execute(query)]
