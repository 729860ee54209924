"""How much of an order's money is still with us: what refunds took, or owe, and what banks took back, is not."""

from uuid import UUID

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
    return left - owed - sum((await taken_of(session, order)).values())


async def taken_of(session: AsyncSession, order: str) -> dict[UUID, int]:
    """What lost disputes took of each of the order's payments, in grosz."""
    query = select(DisputeRow.payment_id, func.sum(DisputeRow.amount)).where(
        DisputeRow.order_id == order, DisputeRow.state == "lost"
    )
    found = await session.execute(query.group_by(DisputeRow.payment_id))
    return {payment: int(amount) for payment, amount in found}
