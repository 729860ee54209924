"""What went back, added up by the reason it went back for (R79)."""

from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.payments.tables import RefundRow

_ARRIVED = ("succeeded", "sent_by_bank")


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """Refunds of one reason: how many were decided and how many have arrived, with their sums in grosz."""

    reason: str
    number: int
    amount: int
    arrived: int
    amount_arrived: int


async def by_reason(session: AsyncSession, since: datetime, until: datetime) -> list[Returned]:
    """Refunds decided in [since, until), those that were waived aside, by reason."""
    has_arrived = RefundRow.state.in_(_ARRIVED)
    query = (
        select(
            RefundRow.reason,
            func.count(),
            func.sum(RefundRow.amount),
            func.count().filter(has_arrived),
            func.coalesce(func.sum(RefundRow.amount).filter(has_arrived), 0),
        )
        .where(RefundRow.created_at >= since, RefundRow.created_at < until, RefundRow.state != "waived")
        .group_by(RefundRow.reason)
        .order_by(RefundRow.reason)
    )
    return [
        Returned(reason=reason, number=number, amount=int(amount), arrived=arrived, amount_arrived=int(there))
        for reason, number, amount, arrived, there in await session.execute(query)
    ]
