"""Many rights at once: which orders' rights are in force."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.among import among
from billing.subscriptions.rules import LIVE
from billing.subscriptions.tables import RenewalRow, SubscriptionRow


async def orders_in_force(session: AsyncSession, orders: Collection[str], at: datetime) -> set[str]:
    """Those of these orders that still give somebody a right at `at` or later."""
    if not orders:
        return set()
    query = select(SubscriptionRow.order_id).where(
        among(SubscriptionRow.order_id, orders),
        SubscriptionRow.state.in_(sorted(LIVE)),
        SubscriptionRow.until > at,
    )
    return {order for order in await session.scalars(query) if order is not None}


async def renewals_of_customers(session: AsyncSession, customers: Collection[str]) -> dict[str, tuple[str, str]]:
    """For each of these customers of the provider's that renew with us: the order, and the provider's subscription."""
    if not customers:
        return {}
    query = select(RenewalRow.provider_customer, RenewalRow.order_id, RenewalRow.provider_id).where(
        among(RenewalRow.provider_customer, customers), RenewalRow.provider_id.is_not(None)
    )
    return {str(customer): (order, str(name)) for customer, order, name in await session.execute(query)}
