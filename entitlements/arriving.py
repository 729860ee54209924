"""Accounts, pupils and links that arrive many at once: what `service` does to each, in one statement for all.

The temporary table `arriving` holds them: `account`; `pupil` and its `school`, where the line links one;
`is_first`: the first line about its account; `origin`: the trial that this transaction has begun for the pupil, null
where it has begun none. What changes an answer is logged as `changes.written` would log it; nobody answers
from what this process knows, so nobody in it is told.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, DateTime, String, Text, bindparam, column, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import wake
from billing.kernel.staging import id_head
from entitlements.changes import NUMBER

_AT: Final = bindparam("at", type_=DateTime(timezone=True))

_ACCOUNTS: Final = text(
    """
    with fresh as (
        insert into entitlement_account (account)
        select account from arriving where is_first
        on conflict (account) do nothing
        returning account
    )
    insert into entitlement_change (account, cause) select account, 'account_added' from fresh
    """
)

_PUPILS: Final = text(
    """
    with done as (
        insert into entitlement_pupil (pupil, school)
        select pupil, max(school) from arriving where pupil is not null group by pupil order by pupil
        on conflict (pupil) do update set school = excluded.school
        where excluded.school is not null and excluded.school is distinct from entitlement_pupil.school
        returning pupil, xmax = '0' as is_new
    )
    insert into entitlement_change (pupil, cause, changed_at)
    select pupil, 'school_changed', :at from done where not is_new
    """
).bindparams(_AT)

_LINKS: Final = (
    text(
        """
    with fresh as (
        insert into entitlement_link (account, pupil, linked_at, notice_pending)
        select account, pupil, :at, false from arriving where pupil is not null
        on conflict (account, pupil) do nothing
        returning account, pupil
    ), noted as (
        insert into audit (id, at, actor, action, subject, account, facts)
        select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), :at, 'system', 'pupil.linked',
            'pupil:' || pupil, account, '{}'
        from fresh
    ), logged as (
        insert into entitlement_change (account, pupil, cause, changed_at)
        select account, pupil, 'linked', :at from fresh
    )
    select count(*) as linked from fresh
    """
    )
    .bindparams(_AT, bindparam("head", type_=String()))
    .columns(column("linked", BigInteger))
)

_GRANTS: Final = text(
    """
    with logged as (
        insert into entitlement_change (pupil, cause, changed_at, effective_at)
        select pupil, 'trial_started', :at, :at from arriving where origin is not null
    )
    insert into entitlement_grant (id, pupil, source, origin, features, since, until, bound, created_at)
    select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), pupil, 'trial', origin, :features, :at,
        :until, false, :at
    from arriving where origin is not null
    """
).bindparams(
    _AT,
    bindparam("until", type_=DateTime(timezone=True)),
    bindparam("head", type_=String()),
    bindparam("features", type_=ARRAY(Text)),
)

_FORESEEN: Final = text(
    """
    select count(distinct (s.account, s.pupil)) from arriving s
    left join entitlement_link l on l.account = s.account and l.pupil = s.pupil
    where s.pupil is not null and l.pupil is null
    """
)


async def put_accounts(session: AsyncSession) -> None:
    """Make every arriving account askable (`service.put_account`)."""
    await session.execute(_ACCOUNTS)
    wake(session, (NUMBER,))


async def put_links(session: AsyncSession, at: datetime) -> int:
    """Link every arriving pupil to its account (`service.put_link`), each new link noted; answers how many are new."""
    await session.execute(_PUPILS, {"at": at})
    return await session.scalar(_LINKS, {"at": at, "head": id_head(at)}) or 0


async def add_trials(session: AsyncSession, features: Collection[str], until: datetime, at: datetime) -> None:
    """The right that comes with each trial begun in this transaction (`service.add_grant`): unbound, as nobody has been
    told of its end (R21)."""
    known = {"at": at, "until": until, "head": id_head(at), "features": sorted(set(features))}
    await session.execute(_GRANTS, known)


async def foresee_links(session: AsyncSession) -> int:
    """How many links `put_links` would make, without making them."""
    return await session.scalar(_FORESEEN) or 0
