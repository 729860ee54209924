"""How much of an order's money is still with us: what refunds took, or owe, and what banks took back, is not."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.payments.refunds import refunds_of
from billing.payments.rules import FINAL, Payment
from billing.payments.service import payments_of
from billing.subscriptions import service as subscriptions
from billing.subscriptions.periods import paid_beyond
from billing.withdrawals.tables_disputes import DisputeRow

Rest = tuple[Payment, int]


async def kept(session: AsyncSession, order: str) -> int:
    """What was paid, less all that goes back, failed refunds that are still owed included, less what lost disputes
    took; in grosz. Below zero where a bank took what had gone back already."""
    return sum(rest for _, rest in await rests(session, order))


async def without_right(session: AsyncSession, order: str) -> int:
    """What is kept of an order none of whose rights goes on, in grosz. Of what renewed, that is what the payments took
    whose time was cut, each at its own price: time that was served before is paid for (I12)."""
    ends = [right.ended_at for right in await subscriptions.of_order(session, order) if right.kind == "renewing"]
    if not ends:
        return await kept(session, order)
    cut = await paid_beyond(session, order, max(at for at in ends if at is not None))
    return sum(rest for paid, rest in await rests(session, order) if paid.payment_id in cut)


async def rests(session: AsyncSession, order: str, *, lock: bool = False) -> list[Rest]:
    """The same of each payment of the order, oldest first; locked before anything else is read, if asked."""
    paid = await payments_of(session, order, lock=lock)
    gone = select(DisputeRow.payment_id, func.sum(DisputeRow.amount)).where(
        DisputeRow.order_id == order, DisputeRow.state == "lost"
    )
    left = {each.id: each.refundable for each in paid}
    for payment, amount in await session.execute(gone.group_by(DisputeRow.payment_id)):
        left[payment] -= int(amount)
    for refund in await refunds_of(session, order):
        if refund.state in FINAL:
            left[refund.payment] -= refund.amount
    return [(each, left[each.id]) for each in paid]
