"""Whom to tell of their trial's end: the trials that wait for their letters, and until when there is time (R21).

Those whose letters are still to be planned stand in `trial_to_tell`. Whoever writes there holds the trial's row.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningDelete

from billing.kernel.among import among_found
from billing.trials.tables import ToTellRow, TrialRow

_IS_WAITING: Final = and_(
    TrialRow.bound_at.is_(None),
    TrialRow.pupil.is_not(None),
    TrialRow.converted_at.is_(None),
    TrialRow.staff_since.is_(None),
)


class Waiting(msgspec.Struct, frozen=True):
    """A trial that waits for its day to be told of, from `tell_from` until before `told_by`. Its row is locked."""

    id: UUID
    pupil: str
    reverts_on: date
    tell_from: datetime
    told_by: datetime


async def put(session: AsyncSession, trial: TrialRow) -> None:
    """Letters that name the trial's present day are to be planned."""
    row = insert(ToTellRow).values(trial=trial.id, tell_from=trial.tell_from)
    await session.execute(row.on_conflict_do_update(index_elements=["trial"], set_={"tell_from": trial.tell_from}))


async def drop(session: AsyncSession, trial: UUID) -> None:
    """They are planned, or nobody need be told any more."""
    await session.execute(delete(ToTellRow).where(ToTellRow.trial == trial))


def drop_all(ids: Select[UUID]) -> ReturningDelete[UUID]:
    """The write by which the letters of each of these trials are planned."""
    return delete(ToTellRow).where(among_found(ToTellRow.trial, ids)).returning(ToTellRow.trial)


def due(at: datetime, limit: int) -> Select[UUID, str | None, date, datetime, datetime]:
    """Trials whose time to tell has come and is not over, oldest first, to be locked: each row makes a `Waiting`."""
    columns = TrialRow.id, TrialRow.pupil, TrialRow.reverts_on, TrialRow.tell_from, TrialRow.told_by
    return (
        select(*columns)
        .join(ToTellRow, ToTellRow.trial == TrialRow.id)
        .where(_IS_WAITING, ToTellRow.tell_from <= at, TrialRow.told_by > at)
        .order_by(ToTellRow.tell_from, ToTellRow.trial)
        .limit(bindparam("limit", limit, literal_execute=True))  # how many there will be is known when it is planned
        .with_for_update(skip_locked=True, of=TrialRow)
    )


async def of(session: AsyncSession, pupils: Collection[str], reverts: date) -> list[Waiting]:
    """Those of the pupils' trials that are planned to end on `reverts` and wait, locked."""
    query = select(TrialRow).where(_IS_WAITING, TrialRow.pupil.in_(pupils), TrialRow.reverts_on == reverts)
    return await _locked(session, query.order_by(TrialRow.id).with_for_update())


async def too_late(session: AsyncSession, at: datetime, limit: int) -> list[Waiting]:
    """Trials whose day can no longer be told of in time, locked."""
    query = select(TrialRow).where(_IS_WAITING, TrialRow.told_by <= at).order_by(TrialRow.told_by, TrialRow.id)
    return await _locked(session, query.limit(limit).with_for_update(skip_locked=True))


async def next_due(session: AsyncSession) -> datetime | None:
    """The earliest instant at which letters must be planned, or a day has become impossible to tell."""
    queued = select(ToTellRow.tell_from).join(TrialRow, TrialRow.id == ToTellRow.trial).where(_IS_WAITING)
    first = await session.scalar(queued.order_by(ToTellRow.tell_from).limit(1))
    late = await session.scalar(select(func.min(TrialRow.told_by)).where(_IS_WAITING))
    return min((instant for instant in (first, late) if instant is not None), default=None)


async def _locked(session: AsyncSession, query: Select[TrialRow]) -> list[Waiting]:
    rows = await session.scalars(query)
    return [Waiting(row.id, row.pupil or "", row.reverts_on, row.tell_from, row.told_by) for row in rows]
