"""What an order for a renewing product agrees to, written down with it, and bound to what its payment page began."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from billing.checkout.tables import OrderRow
from billing.kernel import audit
from billing.kernel.db import wake
from billing.kernel.ids import new_id, public
from billing.subscriptions import renewing, wishes
from billing.subscriptions.rows import Renewal

LOOK = "renewals.look"


def reserve_renewal(
    session: AsyncSession, order: OrderRow, *, interval: str, grace_days: int, notice_days: int, at: datetime
) -> None:
    """What the order agrees to be charged for, interval by interval; nothing is paid yet."""
    row = Renewal(
        id=new_id(at), order_id=public("ord", order.id), account=order.account, product=order.product,
        product_name=order.product_name, features=list(order.features), pupils=sorted(order.pupils),
        interval=interval, unit_gross=order.unit_gross, grace_days=grace_days,
        notice_days=notice_days,
        currency=order.currency, state="new", is_renewal_on=True, is_paused=False, revision=0, pushed=0, tries=0,
        checks=0, created_at=at,
    )  # fmt: skip
    session.add(row)


async def bind_subscription(session: AsyncSession, order: OrderRow, subscription_id: str, at: datetime) -> str:
    """The order's own payment page has begun this subscription: from now on it is ours (S12), and looked after.

    Should two pages of one order have been paid, the second is ours too; its first payment finds the pupils covered and
    goes back, and it is ended (F38).
    """
    if await renewing.of_provider(session, subscription_id) is not None:
        return "bound"
    row = await renewing.of_order(session, public("ord", order.id), lock=True)
    if row is None:
        return "not_ours"
    if row.provider_id is not None:
        reserve_renewal(
            session, order, interval=row.interval, grace_days=row.grace_days, notice_days=row.notice_days, at=at
        )
        await session.flush()
        row = await renewing.unbound_of_order(session, row.order_id)
    row.provider_id, row.check_at = subscription_id, at
    order.check_at = None
    audit.record(session, at, "renewal.bound", wishes.renewal_id(row), account=row.account)
    wake(session, (LOOK,))
    return "bound"
