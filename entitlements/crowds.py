"""What concerns many pupils, asked of all of them at once."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.among import among
from entitlements.tables import GrantRow, LinkRow


async def accounts_of_pupils(session: AsyncSession, pupils: Collection[str]) -> dict[str, list[str]]:
    """All accounts that share each pupil's rights (R1), by name; a pupil whom nobody is linked to is left out."""
    found: dict[str, list[str]] = {}
    query = select(LinkRow.pupil, LinkRow.account).where(among(LinkRow.pupil, pupils)).order_by(LinkRow.account)
    for pupil, account in await session.execute(query):
        found.setdefault(pupil, []).append(account)
    return found


async def with_more_than_a_trial(session: AsyncSession, pupils: Collection[str], at: datetime) -> frozenset[str]:
    """Those of the pupils who hold, now or later, a right that is no trial."""
    lasts = or_(GrantRow.until.is_(None), GrantRow.until > at)
    query = select(GrantRow.pupil).where(among(GrantRow.pupil, pupils), GrantRow.source != "trial", lasts)
    return frozenset(await session.scalars(query))
