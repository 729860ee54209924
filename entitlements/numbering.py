"""Giving out numbers: what was committed becomes news for strangers, in order and without a gap (contract, section 4).

One at a time holds the lock of the one row that says how far it has come; whoever finds it taken leaves it to the
other. First what changes by time alone since the last look, then the writes: those that are visible now and were not
then (`seen`), in the order in which their rows were made. Of two writes of one fact the later waited for the earlier,
so its row has the greater id. A transaction held open holds up nobody but itself.

A write that concerns a pupil is told to whoever is linked when it is numbered, which is after its commit: who came or
went meanwhile is told of that as well.

Who left is named no longer than is needed (R88): where no follower of the log is connected, nor was of late, its rows
that name them go at once; where nobody reads the news, names are blotted out of those. Otherwise they stay until rows
and news are forgotten in any case.
"""

from datetime import datetime, timedelta
from typing import Any, Final, cast

import msgspec
from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from entitlements.changes import WORDS
from entitlements.seen import Seen
from entitlements.waking import FOLLOWER

MOST: Final = 5_000
"""Writes, or instants reached, that are looked at in one transaction."""

KEPT: Final = timedelta(days=30)
"""How long news can be read."""

RAW_KEPT: Final = timedelta(days=1)
"""How long the log itself is kept once it is numbered: longer than any follower may be behind."""

PATIENCE: Final = timedelta(hours=2)
"""How long a follower that is not connected may come back and go on where it was: longer than it would dare to."""

_LAST: Final = "~"
"""After every key of an instant."""

_WHENS: Final = " ".join(f"when '{source}' then '{word}'" for source, word in WORDS.items())
_WORD: Final = f"case g.source {_WHENS} end"
# What tells changes of one instant apart, and their order: beginnings, ends, blocks. Where the last look stopped among
# those of one instant, this is the last grant of a kind that was told.
_BLOCKS: Final = """('s' || b.school || ' ' || b.feature) collate "C\""""
_LAST_OF: Final = """(case when left({key}, 1) = '{kind}' then cast(substr({key}, 2) as uuid)
    when {key} > '{kind}' collate "C" then cast('ffffffff-ffff-ffff-ffff-ffffffffffff' as uuid)
    else cast('00000000-0000-0000-0000-000000000000' as uuid) end)"""
_LAST_END, _LAST_BEGUN = (_LAST_OF.format(key="cast(:key as text)", kind=kind) for kind in "eb")
_ENDED, _BEGUN = (_LAST_OF.format(key="n.swept_key", kind=kind) for kind in "eb")
_LOCK = text("""
select seq, seen, swept_until, swept_key,
    read_at > cast(:at as timestamptz) - cast(:kept as interval) as is_read,
    followed_at > clock_timestamp() - cast(:patience as interval) as was_followed,
    exists (select from pg_stat_activity where datname = current_database() and application_name = :follower)
        as is_followed
from entitlement_numbering for update skip locked""")
# Asked once the lock is held: by the statement that takes it, it could be older than what the last holder has seen.
_PRESENT = text("select pg_current_snapshot()::text")
_UNSEEN: Final = """c.xid >= pg_snapshot_xmin(cast(cast(:seen as text) as pg_snapshot))
    and not pg_visible_in_snapshot(c.xid, cast(cast(:seen as text) as pg_snapshot))"""
# What an instant since the last look has changed by itself. A change of that very instant that a write tells of is not
# told again. A block reaches a school's pupils, the rest one pupil.
_EDGES: Final = f"""
edge as (
    (select g.until as at, ('e' || g.id) collate "C" as key, g.pupil, null as school,
            case when g.bound then coalesce(g.end_reason, {_WORD} || '_ended') else 'trial_runs_on' end as cause
        from entitlement_grant g where g.until <= :at and (g.until, g.id) > (:since, {_LAST_END})
        order by g.until, g.id limit :most)
    union all
    (select g.since, ('b' || g.id) collate "C", g.pupil, null, {_WORD} || '_started'
        from entitlement_grant g where g.since <= :at and (g.since, g.id) > (:since, {_LAST_BEGUN})
            and g.since > g.created_at and (g.until is null or g.since < g.until)
        order by g.since, g.id limit :most)
    union all
    (select b.since, {_BLOCKS}, null, b.school, 'blocked'
        from entitlement_block b where b.since between :since and :at
            and (b.since, {_BLOCKS}) > (:since, :key) order by 1, 2 limit :most)
    order by 1, 2 limit :most
), untold as (
    select edge.* from edge where not exists (select from entitlement_change c where {_UNSEEN}
        and c.effective_at = edge.at and (c.pupil = edge.pupil or c.school = edge.school)
        and (c.cause = edge.cause or c.cause = 'right_planned' and edge.cause like '%_started'))
)"""
_SWEEP: Final = f"""
with {_EDGES}, told as (
    select u.at, u.key, u.cause, l.account, l.pupil from untold u join entitlement_link l on l.pupil = u.pupil
    union all
    select u.at, u.key, u.cause, l.account, l.pupil from untold u join entitlement_pupil p on p.school = u.school
        join entitlement_link l on l.pupil = p.pupil where u.school is not null
), made as (
    insert into entitlement_news (seq, account, pupil, cause, changed_at, effective_at)
    select cast(:seq as bigint) + row_number() over (order by at, key, account, pupil), account, pupil, cause, at, at
    from told returning seq
)
select (select count(*) from edge) as found, (select count(*) from made) as numbered, last.at, last.key
from (select at, key from edge order by at desc, key desc limit 1) last"""
_NTH: Final = f"select c.xid::text from entitlement_change c where {_UNSEEN} order by c.xid offset :most limit 1"
_NUMBER: Final = f"""
with fresh as (
    select c.id, c.account, c.pupil, c.school, c.cause, c.effective_at,
        coalesce(c.changed_at,
            cast(:at as timestamptz) - greatest(clock_timestamp() - c.recorded_at, interval '0')) as changed_at
    from entitlement_change c where {_UNSEEN}
        and pg_visible_in_snapshot(c.xid, cast(cast(:target as text) as pg_snapshot))
), told as (
    select f.*, f.account as who, f.pupil as whose from fresh f where f.account is not null
    union all
    select f.*, l.account, l.pupil from fresh f join entitlement_link l on l.pupil = f.pupil
        where f.account is null and f.cause <> 'pupil_forgotten'
    union all
    select f.*, l.account, l.pupil from fresh f join entitlement_pupil p on p.school = f.school
        join entitlement_link l on l.pupil = p.pupil where f.school is not null
), made as (
    insert into entitlement_news (seq, account, pupil, cause, changed_at, effective_at)
    select cast(:seq as bigint) + row_number() over (order by id, who, whose), who, whose, cause, changed_at,
        coalesce(effective_at, changed_at)
    from told returning seq
)
select (select count(*) from fresh) as found, (select count(*) from made) as numbered,
    array(select f.account from fresh f where f.cause = 'account_removed'
        and not exists (select from entitlement_account a where a.account = f.account)) as accounts,
    array(select f.pupil from fresh f where f.cause = 'pupil_forgotten'
        and not exists (select from entitlement_pupil p where p.pupil = f.pupil)) as pupils"""
_BLOT = text("""
update entitlement_news set pupil = null,
    account = case when account = any(cast(:accounts as text[])) then null else account end
where account = any(cast(:accounts as text[])) or pupil = any(cast(:pupils as text[]))""")
_DROP = text("""
delete from entitlement_change where (account = any(cast(:accounts as text[])) or pupil = any(cast(:pupils as text[])))
    and pg_visible_in_snapshot(xid, cast(cast(:seen as text) as pg_snapshot))""")
_KEEP = text("""
update entitlement_numbering set seq = :seq, seen = :seen, swept_until = :swept_until, swept_key = :swept_key,
    followed_at = case when :is_followed then clock_timestamp() else followed_at end""")
_AGAIN = text("update entitlement_change set xid = pg_current_xact_id()")
_DUE: Final = f"""
select least(
    (select min(coalesce(c.changed_at, n.swept_until, c.recorded_at)) from entitlement_change c
        where c.xid >= pg_snapshot_xmin(n.seen::pg_snapshot)
            and not pg_visible_in_snapshot(c.xid, n.seen::pg_snapshot)),
    (select g.until from entitlement_grant g where g.until is not null and (g.until, g.id) > (n.swept_until, {_ENDED})
        order by g.until, g.id limit 1),
    (select g.since from entitlement_grant g where (g.since, g.id) > (n.swept_until, {_BEGUN})
        and g.since > g.created_at and (g.until is null or g.since < g.until) order by g.since, g.id limit 1),
    (select min(b.since) from entitlement_block b where b.since >= n.swept_until
        and (b.since, {_BLOCKS}) > (n.swept_until, n.swept_key)))
from entitlement_numbering n"""
_FORGET_NEWS = text("""
with oldest as (select seq, changed_at from entitlement_news order by seq limit :most),
young as (select min(seq) as seq from oldest where changed_at >= :before)
delete from entitlement_news n using oldest o, young y where n.seq = o.seq and (y.seq is null or n.seq < y.seq)""")
_FORGET_RAW = text("""
delete from entitlement_change c using entitlement_numbering n
where c.id in (select id from entitlement_change order by id limit :most)
    and c.recorded_at < clock_timestamp() - cast(:kept as interval)
    and pg_visible_in_snapshot(c.xid, cast(n.seen as pg_snapshot))""")
_OLDEST = text("select changed_at from entitlement_news order by seq limit 1")
_SLACK: Final = timedelta(days=7)


class _Progress(msgspec.Struct):
    """The row of `entitlement_numbering` while its lock is held."""

    seq: int
    seen: Seen
    swept_until: datetime | None
    swept_key: str
    is_followed: bool
    was_followed: bool
    is_read: bool


async def next_due(session: AsyncSession) -> datetime | None:
    """When something is first to be numbered: a write that has been committed, or an instant that changes an answer."""
    return await session.scalar(text(_DUE))


async def number(session: AsyncSession, at: datetime, most: int = MOST) -> int:
    """Number a batch of what has changed by `at`. Answers how many writes and instants were looked at; 0 also where
    somebody else is at it."""
    values = {"at": at, "kept": KEPT, "patience": PATIENCE, "follower": FOLLOWER}
    row = (await session.execute(_LOCK, values)).one_or_none()
    if row is None:
        return 0
    present = Seen.read((await session.execute(_PRESENT)).scalar_one())
    progress = _Progress(
        row.seq, Seen.read(row.seen), row.swept_until, row.swept_key,
        row.is_followed, bool(row.was_followed), bool(row.is_read),
    )  # fmt: skip
    if present.is_before(progress.seen):
        found = await _begin_again(session, progress, present)
    else:
        found = await _sweep(session, progress, at, most)
        if found < most:
            found += await _writes(session, progress, present, at, most)
    kept = msgspec.structs.asdict(progress) | {"seen": str(progress.seen)}
    await session.execute(_KEEP, kept)
    return found


async def _sweep(session: AsyncSession, progress: _Progress, at: datetime, most: int) -> int:
    """Tell what has changed by time alone since the last look; before the first one there is nothing to tell."""
    since, key = progress.swept_until, progress.swept_key
    if since is not None and since > at:
        return 0
    progress.swept_until, progress.swept_key = at, _LAST
    if since is None:
        return 0
    values = {"since": since, "key": key, "at": at, "most": most, "seen": str(progress.seen), "seq": progress.seq}
    told = (await session.execute(text(_SWEEP), values)).one_or_none()
    if told is None:
        return 0
    progress.seq += told.numbered
    if told.found == most:
        progress.swept_until, progress.swept_key = told.at, told.key
    return told.found


async def _writes(session: AsyncSession, progress: _Progress, present: Seen, at: datetime, most: int) -> int:
    """Tell the writes that are visible by now; of very many, those of the transactions that began first."""
    unseen = {"seen": str(progress.seen)}
    nth = await session.scalar(text(_NTH), unseen | {"most": most - 1})
    target = progress.seen.and_then(present, present.beyond if nth is None else int(nth))
    told = (await session.execute(text(_NUMBER), unseen | {"target": str(target), "seq": progress.seq, "at": at})).one()
    progress.seq += told.numbered
    progress.seen = target
    if told.accounts or told.pupils:
        await _name_no_more(session, progress, told.accounts, told.pupils)
    return told.found


async def _name_no_more(session: AsyncSession, progress: _Progress, accounts: list[str], pupils: list[str]) -> None:
    """These have left, and nothing here needs their names but whoever is still to be told."""
    left = {"accounts": accounts, "pupils": pupils}
    if not progress.is_read:
        await session.execute(_BLOT, left)
    if not progress.is_followed and not progress.was_followed:
        await session.execute(_DROP, left | {"seen": str(progress.seen)})


async def _begin_again(session: AsyncSession, progress: _Progress, present: Seen) -> int:
    """The tables were restored on a server whose transactions are counted anew. What the log still holds is told once
    more, as if written now: better twice than never."""
    progress.seen = present
    return cast("CursorResult[Any]", await session.execute(_AGAIN)).rowcount


async def next_forgotten(session: AsyncSession) -> datetime | None:
    """When news have grown too old; a week later, so that they go by the week and not one by one."""
    oldest = await session.scalar(_OLDEST)
    return None if oldest is None else oldest + KEPT + _SLACK


async def forget(session: AsyncSession, at: datetime, most: int = MOST) -> int:
    """Remove a batch of what was kept long enough: news from their first number on, so that no gap comes about, and
    rows of the log that are numbered, by the database's own clock. Answers how many went."""
    news = await session.execute(_FORGET_NEWS, {"before": at - KEPT, "most": most})
    raw = await session.execute(_FORGET_RAW, {"kept": RAW_KEPT, "most": most})
    return sum(cast("CursorResult[Any]", each).rowcount for each in (news, raw))
