"""Season passes whose end is near: once for each, everybody who shares it is told (R63)."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.subscriptions.tables import SubscriptionRow
from entitlements import service as desk

_RUNS = SubscriptionRow.kind == "season_pass", SubscriptionRow.state == "active"
_UNTOLD = *_RUNS, SubscriptionRow.end_planned_at.is_(None)


class Ending(msgspec.Struct, frozen=True):
    """A pupil's pass and when it ends."""

    pupil: str
    until: datetime


async def to_tell(session: AsyncSession, by: datetime, at: datetime, limit: int) -> list[Ending]:
    """Passes that end by then and were not given before, those that end first; each is given once."""
    query = select(SubscriptionRow).where(*_UNTOLD, SubscriptionRow.until <= by)
    first = query.order_by(SubscriptionRow.until, SubscriptionRow.id).limit(limit)
    rows = (await session.scalars(first.with_for_update(skip_locked=True))).all()
    for row in rows:
        row.end_planned_at = at
    return [Ending(row.pupil, row.until) for row in rows]


async def next_end(session: AsyncSession) -> datetime | None:
    """The first end that nobody was given yet."""
    return await session.scalar(select(func.min(SubscriptionRow.until)).where(*_UNTOLD))


async def ending_at(session: AsyncSession, pupils: Collection[str], until: datetime) -> frozenset[str]:
    """Those of the pupils who lose something at that instant, because their pass ends: nothing that holds then, such
    as the next season's pass, gives all that it gives."""
    query = select(SubscriptionRow.pupil, SubscriptionRow.features)
    found = await session.execute(
        query.where(*_RUNS, SubscriptionRow.pupil.in_(pupils), SubscriptionRow.until == until)
    )
    ending = {pupil: frozenset(features) for pupil, features in found}
    held = await desk.holding_sources(session, ending, until)
    return frozenset(
        pupil
        for pupil, features in ending.items()
        if not features <= frozenset[str]().union(*(grant.features for grant in held[pupil]))
    )
