"""Many disputes at once, as the provider calls them: for whoever compares us with it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.among import among
from billing.withdrawals.tables_disputes import DisputeRow


async def disputes_known(session: AsyncSession, ids: Collection[str]) -> dict[str, str]:
    """The provider's own last word on each of these disputes that we know of."""
    if not ids:
        return {}
    query = select(DisputeRow.stripe_dispute, DisputeRow.told).where(among(DisputeRow.stripe_dispute, ids))
    return {str(dispute): str(told) for dispute, told in await session.execute(query)}


async def disputes_open(session: AsyncSession, before: datetime) -> list[str]:
    """The disputes that began before an instant and have not ended."""
    query = select(DisputeRow.stripe_dispute).where(DisputeRow.state == "open", DisputeRow.opened_at < before)
    return list(await session.scalars(query.order_by(DisputeRow.opened_at)))
