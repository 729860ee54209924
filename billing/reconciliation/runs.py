"""When we looked, when we must look again, and how long ago the last good look was."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import at_hour, day_of
from billing.kernel.ids import new_id
from billing.payments import history as payments
from billing.reconciliation.rules import LONG, OVERLAP, RECENT
from billing.reconciliation.tables import RunRow

RunKind = Literal["recent", "nightly", "on_demand"]

HOUR: Final = timedelta(hours=1)
LIVELY: Final = timedelta(days=1)
"""How long after we last asked the provider for anything it is looked at every hour; then the nights are enough."""
NIGHT: Final = 4
"""The hour in Warsaw after which the nightly look is due."""
LEASE: Final = timedelta(minutes=30)
"""After so long without a word from its worker a look is given up."""
AGAIN: Final = timedelta(minutes=15)
"""When to look again after the provider did not answer."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a look came to."""

    compared: int = 0
    granted: int = 0
    caught_up: int = 0
    opened: int = 0
    settled: int = 0
    not_ours: int = 0
    abandoned: int = 0


class Begun(msgspec.Struct, frozen=True):
    """A look that has begun, and the time it looks at."""

    id: UUID
    kind: RunKind
    since: datetime
    until: datetime


async def begin(session: AsyncSession, kind: RunKind, since: datetime, at: datetime) -> Begun:
    """Say that we look, before we do."""
    row = RunRow(
        id=new_id(at), kind=kind, state="running", since=since, until=at, started_at=at, ended_at=None,
        **msgspec.structs.asdict(Counts()),
    )  # fmt: skip
    session.add(row)
    await session.flush()
    return Begun(row.id, kind, since, at)


async def begin_due(session: AsyncSession, kind: RunKind, at: datetime) -> Begun | None:
    """The look that is due at `at`, for whoever asks first; one whose worker died is given up (I23)."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"reconciliation:{kind}", 0))))
    due = await next_due(session, kind)
    if due is None or due > at:
        return None
    last = await _last(session, kind)
    if last is not None and last.state == "running":
        last.state, last.ended_at, last.fault = "failed", at, "given_up"
    return await begin(session, kind, await _since(session, kind, at), at)


async def alive(session: AsyncSession, begun: Begun, at: datetime) -> None:
    """The look is still under way."""
    row = await session.get_one(RunRow, begun.id, with_for_update=True, populate_existing=True)
    row.alive_at = at


async def end(session: AsyncSession, begun: Begun, counts: Counts, at: datetime) -> None:
    """What a look came to."""
    row = await session.get_one(RunRow, begun.id, with_for_update=True, populate_existing=True)
    row.state, row.ended_at, row.fault = "done", at, None
    for name, value in msgspec.structs.asdict(counts).items():
        setattr(row, name, value)


async def fail(session: AsyncSession, begun: Begun, fault: str, at: datetime) -> None:
    """The look could not be finished; another is due soon."""
    row = await session.get_one(RunRow, begun.id, with_for_update=True, populate_existing=True)
    row.state, row.ended_at, row.fault = "failed", at, fault


async def next_due(session: AsyncSession, kind: RunKind) -> datetime | None:
    """When to look next: every night, and every hour while anything was asked of the provider in the last day."""
    last = await _last(session, kind)
    if last is not None and last.state == "running":
        return (last.alive_at or last.started_at) + LEASE
    if last is not None and last.state == "failed":
        return last.started_at + AGAIN
    if kind == "nightly":
        return await _next_night(session, last)
    if last is None:
        first = await _first_call(session)
        return None if first is None else first + HOUR
    before = await payments.call_before(session, last.started_at)
    if before is not None and last.started_at - before < LIVELY:
        return last.started_at + HOUR
    after = await payments.call_after(session, last.started_at)
    return None if after is None else after + HOUR


async def _next_night(session: AsyncSession, last: RunRow | None) -> datetime | None:
    """The next night; a week on where nothing was asked of the provider for so long that no night looks back at it."""
    if last is None:
        began = await _first_call(session)
        return None if began is None else at_hour(day_of(began) + timedelta(days=1), NIGHT)
    before = await payments.call_before(session, last.started_at)
    if before is not None and last.started_at - before < LONG:
        return at_hour(day_of(last.started_at) + timedelta(days=1), NIGHT)
    weekly = at_hour(day_of(last.started_at) + timedelta(days=7), NIGHT)
    after = await payments.call_after(session, last.started_at)
    return weekly if after is None else min(weekly, at_hour(day_of(after) + timedelta(days=1), NIGHT))


async def last_good(session: AsyncSession, kind: RunKind | None = None) -> RunRow | None:
    """The last look that was finished, of this kind or any that is made by itself."""
    kinds = ("recent", "nightly") if kind is None else (kind,)
    query = select(RunRow).where(RunRow.kind.in_(kinds), RunRow.state == "done")
    return await session.scalar(query.order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(1))


async def seconds_behind(session: AsyncSession, at: datetime) -> float | None:
    """How long ago the last good look began; since the first call, when there was none; None before that."""
    last = await last_good(session)
    since = await _first_call(session) if last is None else last.started_at
    return None if since is None else max(0.0, (at - since).total_seconds())


async def lines_since(session: AsyncSession, at: datetime) -> datetime:
    """From when on the provider's account must be read: from before the last good night, or some weeks back."""
    good = await last_good(session, "nightly")
    return at - LONG if good is None else good.started_at - OVERLAP


async def read_since(session: AsyncSession) -> datetime | None:
    """Since when the provider's account has been read without a gap; None before the first night."""
    query = select(func.min(RunRow.since)).where(RunRow.kind == "nightly", RunRow.state != "failed")
    return await session.scalar(query)


async def runs(session: AsyncSession, limit: int = 100) -> list[RunRow]:
    """The last looks, newest first."""
    return list(await session.scalars(select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(limit)))


async def _last(session: AsyncSession, kind: RunKind) -> RunRow | None:
    query = select(RunRow).where(RunRow.kind == kind).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(1)
    return await session.scalar(query)


async def _since(session: AsyncSession, kind: RunKind, at: datetime) -> datetime:
    """From when on to look: some days back, and never less than to the last good look of the kind."""
    good = await last_good(session, kind)
    back = at - (RECENT if kind == "recent" else LONG)
    return back if good is None else min(back, good.started_at - OVERLAP)


async def _first_call(session: AsyncSession) -> datetime | None:
    return await payments.call_after(session, _EPOCH)
