"""Season passes whose end is near: once for each, everybody who shares it is told (R63)."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from billing.kernel.among import among_found
from billing.subscriptions.tables import SubscriptionRow
from entitlements import service as desk

_RUNS = SubscriptionRow.kind == "season_pass", SubscriptionRow.state == "active"
_UNTOLD = *_RUNS, SubscriptionRow.end_planned_at.is_(None)


def due_to_tell(until: datetime, limit: int) -> Select[UUID, str]:
    """Passes that end at that instant and of which nobody was told, to be locked: their keys and pupils."""
    query = select(SubscriptionRow.id, SubscriptionRow.pupil).where(*_UNTOLD, SubscriptionRow.until == until)
    return query.order_by(SubscriptionRow.id).limit(limit).with_for_update(skip_locked=True)


def planned_all(ids: Select[UUID], at: datetime) -> ReturningUpdate[UUID]:
    """The write by which letters about the ends of these passes are planned."""
    theirs = among_found(SubscriptionRow.id, ids)
    return update(SubscriptionRow).where(theirs).values(end_planned_at=at).returning(SubscriptionRow.id)


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
