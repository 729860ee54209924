"""Starting, binding, prolonging and ending trials."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import TrialPolicy
from billing.kernel import audit, outbox
from billing.kernel.days import day_of, start_of
from billing.kernel.ids import new_id, public
from billing.kernel.tokens import pseudonym
from billing.trials import rules, untold
from billing.trials.tables import TrialRow
from billing.trials.untold import Waiting
from entitlements import service as desk


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
        await untold.put(session, made)
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
            row.converted_at = None
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


async def bind(session: AsyncSession, trial: Waiting, at: datetime) -> None:
    """Everybody was told: D holds from now on."""
    row = await session.get_one(TrialRow, trial.id)
    await bind_for(session, row, at, "told")
    outbox.put(session, "trial.ending", at, trial=origin(row), pupil=row.pupil, reverts_on=row.reverts_on.isoformat())


async def bind_for(session: AsyncSession, row: TrialRow, at: datetime, reason: str) -> None:
    """The grant ends at D with no job running (R20, R131)."""
    row.bound_at, row.bound_reason = at, reason
    await untold.drop(session, row.id)
    await desk.bind(session, origin(row))
    audit.record(session, at, "trial.bound", origin(row), reason=reason, reverts_on=str(row.reverts_on))


async def prolong(session: AsyncSession, trial: Waiting, policy: TrialPolicy, at: datetime) -> None:
    """D was not told in time: a later day is planned; after too many, the case is a task for staff (R21)."""
    row = await session.get_one(TrialRow, trial.id)
    if row.prolongations >= policy.most_prolongations:
        row.staff_since = at
        await untold.drop(session, row.id)
        audit.record(session, at, "trial.staff_task_opened", origin(row), reason="not_told_after_prolongations")
        return
    row.prolongations += 1
    await _move(session, row, rules.prolonged(policy, at), policy, at)


async def _move(session: AsyncSession, row: TrialRow, reverts: date, policy: TrialPolicy, at: datetime) -> None:
    before = row.reverts_on
    for name, value in dates(policy, reverts).items():
        setattr(row, name, value)
    await untold.put(session, row)
    await desk.move_end(session, origin(row), row.ends_at, bound=False)
    if reverts != before:
        audit.record(session, at, "trial.prolonged", origin(row), before=str(before), after=str(reverts))


async def postpone(session: AsyncSession, trial: Waiting, policy: TrialPolicy, at: datetime) -> None:
    """One day later: an account was told of this very day before, without this pupil, and a day is told once (I18)."""
    row = await session.get_one(TrialRow, trial.id)
    await _move(session, row, row.reverts_on + timedelta(days=1), policy, at)
