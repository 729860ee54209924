"""What is done once a trial has passed its end: closing, telling, and forgetting after the season."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit, outbox
from billing.kernel.days import day_of, end_of
from billing.trials import service
from billing.trials.tables import TrialRow


async def close_silently(session: AsyncSession, at: datetime, limit: int) -> int:
    """Bind trials that passed their end while nobody was linked who could fall back."""
    query = (
        select(TrialRow)
        .where(TrialRow.bound_at.is_(None), TrialRow.ends_at <= at, TrialRow.pupil.is_(None))
        .order_by(TrialRow.ends_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        await service.bind_for(session, row, at, "nobody_linked")
    return len(rows)


async def announce_ends(session: AsyncSession, at: datetime, limit: int) -> int:
    """Say that trials have ended, once each; the right itself ended by its date, with no job (R131)."""
    query = (
        select(TrialRow)
        .where(TrialRow.ended_at.is_(None), TrialRow.bound_at.is_not(None), TrialRow.ends_at <= at)
        .order_by(TrialRow.ends_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        row.ended_at = row.ends_at
        after = "converted" if row.converted_at else "ended"
        audit.record(session, at, "trial.ended", service.origin(row), before="running", after=after)
        if row.pupil is not None and row.converted_at is None:
            outbox.put(session, "trial.ended", at, trial=service.origin(row), pupil=row.pupil)
    return len(rows)


async def forget_season(session: AsyncSession, at: datetime, limit: int) -> int:
    """Delete the memory of trials whose season is over (R19)."""
    query = select(TrialRow).where(TrialRow.season_ends < day_of(at), TrialRow.ended_at.is_not(None))
    rows = (await session.scalars(query.limit(limit).with_for_update(skip_locked=True))).all()
    for row in rows:
        await session.delete(row)
    return len(rows)


async def next_due(session: AsyncSession) -> datetime | None:
    """The earliest instant at which a trial passes its end, to be closed or announced."""
    earliest = select(func.min(TrialRow.ends_at))
    unannounced = earliest.where(TrialRow.ended_at.is_(None), TrialRow.bound_at.is_not(None))
    unlinked = earliest.where(TrialRow.bound_at.is_(None), TrialRow.pupil.is_(None))
    return await session.scalar(select(func.least(unannounced.scalar_subquery(), unlinked.scalar_subquery())))


async def next_forgotten(session: AsyncSession) -> datetime | None:
    """When the memory of a season may next be dropped."""
    last = await session.scalar(select(func.min(TrialRow.season_ends)).where(TrialRow.ended_at.is_not(None)))
    return None if last is None else end_of(last)
