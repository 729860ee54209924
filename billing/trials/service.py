"""Starting, binding, prolonging and ending trials."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from billing.catalog.values import TrialPolicy
from billing.kernel import audit, outbox
from billing.kernel.among import among_found
from billing.kernel.days import day_of, start_of
from billing.kernel.ids import new_id, public
from billing.kernel.tokens import pseudonym
from billing.trials import rules
from billing.trials.tables import TrialRow
from entitlements import service as desk

_IS_WAITING = and_(
    TrialRow.bound_at.is_(None),
    TrialRow.pupil.is_not(None),
    TrialRow.converted_at.is_(None),
    TrialRow.staff_since.is_(None),
)
_IS_UNPLANNED = and_(_IS_WAITING, TrialRow.planned_for.is_distinct_from(TrialRow.reverts_on))


class Waiting(msgspec.Struct, frozen=True):
    """A trial that waits for its day to be told of, from `tell_from` until before `told_by`. Its row is locked."""

    id: UUID
    pupil: str
    reverts_on: date
    tell_from: datetime
    told_by: datetime


def origin(row: TrialRow) -> str:
    """The public id of a trial, and the origin of its grant."""
    return public("trl", row.id)


async def start_trial(
    session: AsyncSession,
    *,
    pupil: str,
    season: str,
    season_ends: date,
    features: Collection[str],
    policy: TrialPolicy,
    secret: str,
    at: datetime,
) -> TrialRow:
    """The pupil's trial of the season: started now if this season has not seen one, else the one there was (R18)."""
    known = pseudonym(secret, f"trial:{season}", pupil)
    fresh = {
        "id": new_id(at),
        "season": season,
        "season_ends": season_ends,
        "pupil": pupil,
        "pupil_hash": known,
        "starts_at": at,
        "prolongations": 0,
        **dates(policy, rules.reverts_on(policy, day_of(at))),
    }
    made = await session.scalar(
        insert(TrialRow)
        .values(fresh)
        .on_conflict_do_nothing(constraint="uq_trial_season_pupil_hash")
        .returning(TrialRow)
    )
    if made is not None:
        audit.record(session, at, "trial.started", origin(made), after="running", reverts_on=str(made.reverts_on))
        outbox.put(session, "trial.started", at, trial=origin(made), pupil=pupil)
        await _grant(session, made, features, at)
        return made
    query = select(TrialRow).where(TrialRow.season == season, TrialRow.pupil_hash == known)
    row = (await session.scalars(query.with_for_update())).one()
    if row.pupil is None:
        row.pupil = pupil
        await _grant(session, row, features, at)
    return row


def dates(policy: TrialPolicy, reverts: date) -> dict[str, date | datetime]:
    """All that follows from the day D."""
    return {
        "reverts_on": reverts,
        "ends_at": start_of(reverts),
        "told_by": rules.told_by(policy, reverts),
        "tell_from": rules.tell_from(policy, reverts),
    }


async def _grant(session: AsyncSession, row: TrialRow, features: Collection[str], at: datetime) -> None:
    await desk.add_grant(
        session,
        pupil=row.pupil or "",
        source="trial",
        origin=origin(row),
        features=features,
        since=row.starts_at,
        until=row.ends_at,
        bound=row.bound_at is not None,
        at=at,
    )


async def unlinked(session: AsyncSession, pupil: str) -> None:
    """Somebody let go of the pupil: once nobody is linked, only the keyed hash remembers the trial (R19)."""
    if await desk.accounts_of(session, pupil):
        return
    rows = await session.scalars(select(TrialRow).where(TrialRow.pupil == pupil).with_for_update())
    for row in rows:
        await desk.remove_grants(session, origin(row))
        row.pupil = None


async def trial_of(session: AsyncSession, pupil: str, season: str) -> TrialRow | None:
    """The pupil's trial of a season, if somebody is linked."""
    query = select(TrialRow).where(TrialRow.pupil == pupil, TrialRow.season == season)
    return (await session.scalars(query)).one_or_none()


async def convert(session: AsyncSession, pupils: Collection[str], at: datetime) -> bool:
    """Somebody pays: a trial whose features are given beyond its end needs no notice (R25), and one that was told of
    ends unnoticed; answers whether there was one. A trial that ends before the paid right begins, as next season's pass
    does, is told of as ever (R21)."""
    found = [row for row in await _running(session, pupils, at) if row.converted_at is None]
    done = [row for row in found if await _is_outlasted(session, row, at)]
    for row in done:
        row.converted_at = at
        await desk.cancel_notices(session, row.pupil or "")
        audit.record(session, at, "trial.converted", origin(row), before="running", after="converted")
        if row.bound_at is None:  # it ends by its date, with no job, though nobody need be told (I05, R131)
            await bind_for(session, row, at, "converted")
    return bool(done)


async def ending_on(session: AsyncSession, pupils: Collection[str], day: date, at: datetime) -> frozenset[str]:
    """Those of the pupils who lose something on that day, because their trial ends (R25)."""
    ending = [row for row in await _running(session, pupils, at) if row.reverts_on == day]
    return frozenset([row.pupil or "" for row in ending if not await _is_outlasted(session, row, at)])


async def _is_outlasted(session: AsyncSession, row: TrialRow, at: datetime) -> bool:
    """Whether other rights give all that the trial gives at the instant it ends, or now if that is later."""
    held = (await desk.holding_sources(session, (row.pupil or "",), max(at, row.ends_at)))[row.pupil or ""]
    others = [grant.features for grant in held if grant.source != "trial"]
    of_trial = [grant.features for grant in held if grant.origin == origin(row)]
    return bool(others) and frozenset[str]().union(*of_trial) <= frozenset[str]().union(*others)


async def reopen(session: AsyncSession, pupils: Collection[str], policy: TrialPolicy, at: datetime) -> None:
    """What was paid was given back: a trial whose end nobody was told of runs on, to a day that can be told; one that
    was told of ends on that day (R21)."""
    for row in await _running(session, pupils, at):
        if row.converted_at is not None:
            row.converted_at, row.planned_for = None, None
            audit.record(session, at, "trial.reopened", origin(row), before="converted", after="running")
            if row.bound_reason == "converted":
                row.bound_at = row.bound_reason = None
                fresh = rules.prolonged(policy, at) if at >= row.told_by else row.reverts_on
                await _move(session, row, fresh, policy, at)


async def _running(session: AsyncSession, pupils: Collection[str], at: datetime) -> list[TrialRow]:
    """Those of the pupils' trials that have not ended, told of or not, locked."""
    is_running = or_(TrialRow.bound_at.is_(None), TrialRow.ends_at > at)
    query = select(TrialRow).where(TrialRow.pupil.in_(pupils), is_running).order_by(TrialRow.id)
    return list(await session.scalars(query.with_for_update()))


async def unbound(session: AsyncSession, pupils: Collection[str], reverts: date) -> list[Waiting]:
    """Those of the pupils' trials that are planned to end on `reverts` and wait to be told, locked."""
    query = select(TrialRow).where(_IS_WAITING, TrialRow.pupil.in_(pupils), TrialRow.reverts_on == reverts)
    return [_told(row) for row in await session.scalars(query.order_by(TrialRow.id).with_for_update())]


def _told(row: TrialRow) -> Waiting:
    return Waiting(row.id, row.pupil or "", row.reverts_on, row.tell_from, row.told_by)


async def planned(session: AsyncSession, trial: Waiting) -> None:
    """Letters that name the trial's present day are planned."""
    row = await session.get_one(TrialRow, trial.id)
    row.planned_for = row.reverts_on


async def bind(session: AsyncSession, trial: Waiting, at: datetime) -> None:
    """Everybody was told: D holds from now on."""
    row = await session.get_one(TrialRow, trial.id)
    await bind_for(session, row, at, "told")
    outbox.put(session, "trial.ending", at, trial=origin(row), pupil=row.pupil, reverts_on=row.reverts_on.isoformat())


async def bind_for(session: AsyncSession, row: TrialRow, at: datetime, reason: str) -> None:
    """The grant ends at D with no job running (R20, R131)."""
    row.bound_at, row.bound_reason = at, reason
    await desk.bind(session, origin(row))
    audit.record(session, at, "trial.bound", origin(row), reason=reason, reverts_on=str(row.reverts_on))


async def prolong(session: AsyncSession, trial: Waiting, policy: TrialPolicy, at: datetime) -> None:
    """D was not told in time: a later day is planned; after too many, the case is a task for staff (R21)."""
    row = await session.get_one(TrialRow, trial.id)
    if row.prolongations >= policy.most_prolongations:
        row.staff_since = at
        audit.record(session, at, "trial.staff_task_opened", origin(row), reason="not_told_after_prolongations")
        return
    row.prolongations += 1
    await _move(session, row, rules.prolonged(policy, at), policy, at)


async def _move(session: AsyncSession, row: TrialRow, reverts: date, policy: TrialPolicy, at: datetime) -> None:
    before = row.reverts_on
    for name, value in dates(policy, reverts).items():
        setattr(row, name, value)
    row.planned_for = None
    await desk.move_end(session, origin(row), row.ends_at, bound=False)
    if reverts != before:
        audit.record(session, at, "trial.prolonged", origin(row), before=str(before), after=str(reverts))


def planned_all(ids: Select[UUID]) -> ReturningUpdate[UUID]:
    """The write by which letters that name the present day of each of these trials are planned."""
    theirs = among_found(TrialRow.id, ids)
    return update(TrialRow).where(theirs).values(planned_for=TrialRow.reverts_on).returning(TrialRow.id)


def due_to_tell(at: datetime, limit: int) -> Select[UUID, str | None, date, datetime, datetime]:
    """Trials whose time to tell has come and is not over, oldest first, to be locked: each row makes a `Waiting`."""
    columns = TrialRow.id, TrialRow.pupil, TrialRow.reverts_on, TrialRow.tell_from, TrialRow.told_by
    return (
        select(*columns)
        .where(_IS_UNPLANNED, TrialRow.tell_from <= at, TrialRow.told_by > at)
        .order_by(TrialRow.tell_from, TrialRow.id)
        .limit(bindparam("limit", limit, literal_execute=True))  # how many there will be is known when it is planned
        .with_for_update(skip_locked=True)
    )


async def too_late_to_tell(session: AsyncSession, at: datetime, limit: int) -> list[Waiting]:
    """Trials whose day can no longer be told of in time, locked."""
    query = _waiting().where(TrialRow.told_by <= at)
    return [_told(row) for row in await session.scalars(query.order_by(TrialRow.told_by, TrialRow.id).limit(limit))]


async def next_to_tell(session: AsyncSession) -> datetime | None:
    """The earliest instant at which letters must be planned, or a day has become impossible to tell."""
    first = await session.scalar(select(func.min(TrialRow.tell_from)).where(_IS_UNPLANNED))
    late = await session.scalar(select(func.min(TrialRow.told_by)).where(_IS_WAITING))
    return min((instant for instant in (first, late) if instant is not None), default=None)


async def postpone(session: AsyncSession, trial: Waiting, policy: TrialPolicy, at: datetime) -> None:
    """One day later: an account was told of this very day before, without this pupil, and a day is told once (I18)."""
    row = await session.get_one(TrialRow, trial.id)
    await _move(session, row, row.reverts_on + timedelta(days=1), policy, at)


def _waiting() -> Select[TrialRow]:
    return select(TrialRow).where(_IS_WAITING).with_for_update(skip_locked=True)
