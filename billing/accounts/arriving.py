"""Accounts that arrive many at once: what `service.put_account` does to each, in one statement for all.

The temporary table `arriving` holds them (`is_first`: the first line about its account; all lines about one account in
it say the same; `address`: where the mail goes). That both ways come to the same is shown by a test over any lines.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, DateTime, String, bindparam, column, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts import rules
from billing.kernel.db import wake
from billing.kernel.outbox import RELAY
from billing.kernel.staging import id_head

_AT: Final = bindparam("at", type_=DateTime(timezone=True))
_CONFIRM_BY: Final = bindparam("confirm_by", type_=DateTime(timezone=True))
_HEAD: Final = bindparam("head", type_=String())

_LOCK: Final = text(
    """
    select count(*) from (
        select from account a join arriving s on s.account = a.account where s.is_first
        order by a.account for update of a
    ) locked
    """
)

_CHANGE: Final = (
    text(
        """
    with old as (
        select s.*, a.confirmed_at is not null as was_confirmed, s.address is distinct from
            case when a.age_band = 'under_13' then coalesce(a.guardian_email, a.email) else a.email end as is_moved
        from arriving s join account a on a.account = s.account
        where s.is_first and (
            (a.email, a.guardian_email, a.locale, a.kind, a.age_band)
                is distinct from (s.email, s.guardian_email, s.locale, s.kind, s.age_band)
            or s.is_confirmed and a.confirmed_at is null
        )
    ), changed as (
        update account a
        set email = s.email, guardian_email = s.guardian_email, locale = s.locale, kind = s.kind, age_band = s.age_band,
            bounced_at = case when s.is_moved then null else a.bounced_at end,
            confirmed_at = case when s.is_confirmed then coalesce(a.confirmed_at, :at) when s.is_moved then null
                else a.confirmed_at end,
            confirm_by = case when s.is_confirmed then null when s.is_moved then :confirm_by else a.confirm_by end,
            first_confirmed_at = case when s.is_confirmed then coalesce(a.first_confirmed_at, :at)
                else a.first_confirmed_at end
        from old s
        where a.account = s.account
        returning a.account, s.is_confirmed, s.is_confirmed and not s.was_confirmed
            or s.is_moved and not s.is_confirmed as is_news
    ), noted as (
        insert into audit (id, at, actor, action, subject, account, before, after, facts)
        select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), :at, 'system',
            case when is_confirmed then 'account.confirmed' else 'account.registered' end, account, account,
            case when is_confirmed then 'pending' end, case when is_confirmed then 'active' else 'pending' end, '{}'
        from changed where is_news
    ), said as (
        insert into outbox (id, kind, facts, at, state, due_at, tries)
        select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), 'account.registered',
            jsonb_build_object('account', account), :at, 'new', :at, 0
        from changed where is_news and not is_confirmed
    )
    select count(*) as changed from changed
    """
    )
    .bindparams(_AT, _CONFIRM_BY, _HEAD)
    .columns(column("changed", BigInteger))
)

_ADD: Final = (
    text(
        """
    with fresh as (
        insert into account (account, email, guardian_email, locale, kind, age_band, created_at, confirmed_at,
            confirm_by, first_confirmed_at)
        select account, email, guardian_email, locale, kind, age_band, :at, case when is_confirmed then :at end,
            case when is_confirmed then null else :confirm_by end, case when is_confirmed then :at end
        from arriving where is_first
        on conflict (account) do nothing
        returning account, confirmed_at is not null as is_confirmed
    ), noted as (
        insert into audit (id, at, actor, action, subject, account, before, after, facts)
        select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), :at, 'system',
            case when is_confirmed then 'account.confirmed' else 'account.registered' end, account, account,
            case when is_confirmed then 'pending' end, case when is_confirmed then 'active' else 'pending' end, '{}'
        from fresh
    ), said as (
        insert into outbox (id, kind, facts, at, state, due_at, tries)
        select cast(:head || substr(cast(gen_random_uuid() as text), 16) as uuid), 'account.registered',
            jsonb_build_object('account', account), :at, 'new', :at, 0
        from fresh where not is_confirmed
    )
    select count(*) as added from fresh
    """
    )
    .bindparams(_AT, _CONFIRM_BY, _HEAD)
    .columns(column("added", BigInteger))
)

_FORESEEN: Final = text(
    """
    select count(*) filter (where a.account is null) as added,
        count(*) filter (where a.account is not null and (
            (a.email, a.guardian_email, a.locale, a.kind, a.age_band)
                is distinct from (s.email, s.guardian_email, s.locale, s.kind, s.age_band)
            or s.is_confirmed and a.confirmed_at is null
        )) as changed
    from arriving s left join account a on a.account = s.account
    where s.is_first
    """
)


async def put_accounts(session: AsyncSession, at: datetime) -> tuple[int, int]:
    """Register or change every arriving account; answers how many are new, and how many changed. The desk must know
    them already: whoever registers one of them at this moment has then been waited for."""
    known = {"at": at, "confirm_by": rules.confirm_by(at), "head": id_head(at)}
    is_known = await session.scalar(_LOCK)
    changed = await session.scalar(_CHANGE, known) if is_known else 0
    added = await session.scalar(_ADD, known)
    wake(session, (RELAY,))
    return added or 0, changed or 0


async def foresee_accounts(session: AsyncSession) -> tuple[int, int]:
    """What `put_accounts` would do, without doing it."""
    found = (await session.execute(_FORESEEN)).one()
    return found.added, found.changed
