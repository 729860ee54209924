"""How much of an order's money is still with us: what refunds took, or owe, and what banks took back, is not."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.payments.refunds import refunds_of
from billing.payments.rules import FINAL
from billing.payments.service import payments_of
from billing.withdrawals.tables_disputes import DisputeRow


async def kept(session: AsyncSession, order: str) -> int:
    """What was paid, less all that goes back, failed refunds that are still owed included, less what lost disputes
    took; in grosz. Below zero where a bank took what had gone back already."""
    left = sum(paid.refundable for paid in await payments_of(session, order))
    owed = sum(refund.amount for refund in await refunds_of(session, order) if refund.state in FINAL)
    query = select(func.sum(DisputeRow.amount)).where(DisputeRow.order_id == order, DisputeRow.state == "lost")
    return left - owed - int(await session.scalar(query) or 0)
