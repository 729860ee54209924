"""The inbox: events are kept once, claimed under a lease, and end as done, ignored or parked. Calls nobody."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import wake
from billing.kernel.metrics import EVENTS
from billing.kernel.outbox import backoff
from billing.kernel.parking import Sort
from webhooks.inbox import EventRow
from webhooks.keeping import HANDLE, keep_all, tell_of
from webhooks.translate import UNREADABLE, Head, Target, target_in

LEASE: Final = timedelta(minutes=2)
MOST_TRIES: Final = 12

End = Literal["done", "ignored", "parked"]

PARKED: Final = Sort(
    name="events", table=EventRow, kind=EventRow.type, why=EventRow.note, since=EventRow.received_at, waiting="new",
    work=HANDLE, told=str, read=str, may=EventRow.type != UNREADABLE,
)  # fmt: skip
"""Events that are given up. Nothing can ever be done about one that nobody can read."""

log = structlog.get_logger(__name__)


class Claimed(msgspec.Struct, frozen=True):
    """An event to handle now; `tries` counts this one."""

    id: str
    type: str
    target: Target
    tries: int


async def keep(session: AsyncSession, head: Head, at: datetime) -> bool:
    """Keep a genuine event; answers whether it is the first copy. One in trouble waits for people (S03, S09)."""
    connection = await session.connection()
    await connection.execute(select(1))  # the transaction has begun
    new = await keep_all((await connection.get_raw_connection()).driver_connection, [(head, at)])
    if tell_of([head], new):
        wake(session, (HANDLE,))
    return bool(new)


async def claim(session: AsyncSession, at: datetime, limit: int) -> list[Claimed]:
    """Take due events, oldest first, for the length of a lease; a worker that dies gives them back by its end."""
    query = (
        select(EventRow)
        .where(EventRow.state == "new", EventRow.due_at <= at)
        .order_by(EventRow.due_at, EventRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    taken: list[Claimed] = []
    for row in rows:
        if row.tries >= MOST_TRIES:
            _end(row, "parked", row.note or "too many tries", at)
            continue
        row.tries += 1
        row.due_at = at + LEASE
        taken.append(Claimed(row.id, row.type, target_in(row.body), row.tries))
    return taken


async def finish(session: AsyncSession, event_id: str, state: End, note: str, at: datetime) -> None:
    """Say what came of an event; one that ended already stays as it is."""
    row = await session.get(EventRow, event_id, with_for_update=True, populate_existing=True)
    if row is not None and row.state == "new":
        _end(row, state, note, at)


async def put_off(session: AsyncSession, event_id: str, note: str, at: datetime, *, is_ours: bool) -> None:
    """Try again later. A fault of ours counts, and parks the event in the end; while the provider does not answer,
    nothing counts (F33)."""
    row = await session.get(EventRow, event_id, with_for_update=True, populate_existing=True)
    if row is None or row.state != "new":
        return
    row.note = note
    row.due_at = at + backoff(row.tries)
    if not is_ours:
        row.tries = min(row.tries, MOST_TRIES - 1)
    elif row.tries >= MOST_TRIES:
        _end(row, "parked", note, at)


async def replay(session: AsyncSession, event_id: str, at: datetime) -> bool:
    """Handle a kept event again, as if it had just come; False when there is none, or it can never be handled."""
    statement = (
        update(EventRow)
        .where(EventRow.id == event_id, EventRow.type != UNREADABLE)
        .values(state="new", tries=0, due_at=at, note=None, handled_at=None)
        .returning(EventRow.id)
    )
    found = await session.scalar(statement) is not None
    if found:
        wake(session, (HANDLE,))
    return found


async def next_due(session: AsyncSession) -> datetime | None:
    """When the next event is, or becomes, due."""
    return await session.scalar(select(func.min(EventRow.due_at)).where(EventRow.state == "new"))


def _end(row: EventRow, state: End, note: str, at: datetime) -> None:
    row.state, row.note, row.handled_at = state, note, at
    EVENTS.labels(state).inc()
    if state == "parked":
        log.error("event_parked", event_id=row.id, trouble=note)


async def unjudged(session: AsyncSession, types: Collection[str], before: datetime) -> int:
    """How many events of these kinds came in by an instant and have not been judged."""
    query = select(func.count()).select_from(EventRow)
    waits = EventRow.type.in_(types), EventRow.state.in_(("new", "parked")), EventRow.received_at <= before
    return int(await session.scalar(query.where(*waits)) or 0)
