"""Trials of pupils that arrive many at once: what `service.start_trial` does for each, in one statement for all.

The temporary table `arriving` holds them; `trial`, `origin` and `pupil_hash` are given on the first line of each pupil.
Where no trial begins, `origin` is taken away again: most files tell of pupils who have none, or all have theirs.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import BigInteger, Date, DateTime, String, bindparam, column, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.rules import season_of
from billing.catalog.values import Catalogue
from billing.kernel.days import day_of, start_of
from billing.kernel.staging import id_head
from billing.trials import rules, service
from entitlements import arriving as desk

_INSTANT: Final = DateTime(timezone=True)

_BEGIN: Final = (
    text(
        """
    with begun as (
        insert into trial (id, season, season_ends, pupil, pupil_hash, starts_at, reverts_on, ends_at, told_by,
            tell_from, prolongations)
        select trial, :season, :season_ends, pupil, pupil_hash, :at, :reverts_on, :ends_at, :told_by, :tell_from, 0
        from arriving where trial is not null order by pupil
        on conflict on constraint uq_trial_season_pupil_hash do nothing
        returning id, tell_from
    ), untold as (
        insert into trial_to_tell (trial, tell_from) select id, tell_from from begun
    )
    select (select count(*) from begun) as begun, (select count(trial) from arriving) as arrived
    """
    )
    .bindparams(
        bindparam("at", type_=_INSTANT),
        bindparam("season_ends", type_=Date()),
        bindparam("reverts_on", type_=Date()),
        bindparam("ends_at", type_=_INSTANT),
        bindparam("told_by", type_=_INSTANT),
        bindparam("tell_from", type_=_INSTANT),
    )
    .columns(column("begun", BigInteger), column("arrived", BigInteger))
)

_LEAVE: Final = text(
    """
    update arriving s set origin = null
    where s.trial is not null and not exists (select from trial t where t.id = s.trial)
    """
)

_NOTE: Final = text(
    """
    with noted as (
        insert into audit (id, at, actor, action, subject, after, facts)
        select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), :at, 'system', 'trial.started',
            origin, 'running', jsonb_build_object('reverts_on', :reverts_on)
        from arriving where origin is not null
    )
    insert into outbox (id, kind, facts, at, state, due_at, tries)
    select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), 'trial.started',
        jsonb_build_object('trial', origin, 'pupil', pupil), :at, 'new', :at, 0
    from arriving where origin is not null
    """
).bindparams(
    bindparam("at", type_=_INSTANT), bindparam("head", type_=String()), bindparam("reverts_on", type_=String())
)

_RETURNED: Final = text(
    """
    select s.pupil from arriving s join trial t on t.season = :season and t.pupil_hash = s.pupil_hash
    where s.trial is not null and t.pupil is null order by s.pupil
    """
)

_FORESEEN: Final = text(
    """
    select count(*) from arriving s left join trial t on t.season = :season and t.pupil_hash = s.pupil_hash
    where s.trial is not null and t.id is null
    """
)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On what terms trials begin now."""

    catalogue: Catalogue
    secret: str


def season_at(terms: Terms, at: datetime) -> str:
    """The season whose trial a pupil that is linked now gets."""
    return season_of(day_of(at), terms.catalogue.season).label


async def begin_trials(session: AsyncSession, terms: Terms, at: datetime) -> int:
    """The season's trial for every arriving pupil that had none; answers how many began. One that comes back finds its
    own again (R18)."""
    policy, add_ons = terms.catalogue.trial, terms.catalogue.add_ons
    season = season_of(day_of(at), terms.catalogue.season)
    reverts = rules.reverts_on(policy, day_of(at))
    known = {"season": season.label, "season_ends": season.last_day, "at": at, **service.dates(policy, reverts)}
    done = (await session.execute(_BEGIN, known)).one()
    if done.begun:
        if done.begun < done.arrived:
            await session.execute(_LEAVE)
        await session.execute(_NOTE, {"at": at, "head": id_head(at), "reverts_on": str(reverts)})
        await desk.add_trials(session, add_ons, start_of(reverts), at)
    if done.begun < done.arrived:
        await _find_again(session, terms, season.label, at)
    return done.begun


async def _find_again(session: AsyncSession, terms: Terms, season: str, at: datetime) -> None:
    """Pupils whom only the keyed hash remembered (R19); few, so one by one."""
    names: Collection[str] = (await session.scalars(_RETURNED, {"season": season})).all()
    for pupil in names:
        await service.start_trial(
            session,
            pupil=pupil,
            season=season,
            season_ends=season_of(day_of(at), terms.catalogue.season).last_day,
            features=terms.catalogue.add_ons,
            policy=terms.catalogue.trial,
            secret=terms.secret,
            at=at,
        )


async def foresee_trials(session: AsyncSession, terms: Terms, at: datetime) -> int:
    """How many trials `begin_trials` would begin, without beginning them."""
    return await session.scalar(_FORESEEN, {"season": season_at(terms, at)}) or 0
