"""What must happen after a commit, committed with it (I22).

A room puts a message into the transaction that makes it true; the relay claims messages by state, never by `id > last`
(rows commit out of order), and does each in a transaction of its own. Delivery is at least once; what it does must be
harmless to do again.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import CheckConstraint, Index, Uuid, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base, Database, wake
from billing.kernel.ids import new_id
from billing.kernel.parking import Sort
from billing.kernel.work import Work

RELAY = "outbox.relay"
BATCH = 200
MOST_TRIES = 12
LONGEST_WAIT = timedelta(hours=1)

log = structlog.get_logger(__name__)


class Message(msgspec.Struct, frozen=True):
    """One thing that happened: `kind` in the past tense with a dot (`order.paid`), and the facts consumers need."""

    id: UUID
    kind: str
    facts: dict[str, Any]
    at: datetime


Consumer = Callable[[AsyncSession, Message, datetime], Awaitable[None]]


class OutboxRow(Base):
    """One message; `state` is new, done, or parked after too many tries."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("state in ('new', 'done', 'parked')", name="state"),
        Index("ix_outbox_due", "due_at", "id", postgresql_where="state = 'new'"),
        Index("ix_outbox_parked", "id", postgresql_where="state = 'parked'"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    facts: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="new")
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    fault: Mapped[str | None]


PARKED = Sort(
    name="messages", table=OutboxRow, kind=OutboxRow.kind, why=OutboxRow.fault, since=OutboxRow.at, waiting="new",
    work=RELAY, told=str, read=UUID,
)  # fmt: skip
"""Messages that are given up, by the ids that logs tell."""


def put(session: AsyncSession, kind: str, at: datetime, **facts: Any) -> None:
    """Say that `kind` happened at `at`, as part of this transaction; the relay is rung once it has committed."""
    session.add(OutboxRow(id=new_id(at), kind=kind, facts=facts, at=at, due_at=at))
    wake(session, (RELAY,))


def relay(database: Database, consumers: Mapping[str, tuple[Consumer, ...]]) -> Work:
    """The work of handing messages to whoever wants their kind; kinds nobody wants are simply done."""

    async def next_due(session: AsyncSession) -> datetime | None:
        return await session.scalar(select(func.min(OutboxRow.due_at)).where(OutboxRow.state == "new"))

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            query = (
                select(OutboxRow)
                .where(OutboxRow.state == "new", OutboxRow.due_at <= at)
                .order_by(OutboxRow.due_at, OutboxRow.id)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            rows = (await session.scalars(query)).all()
            wanted = [row for row in rows if row.kind in consumers]
            await _pass_over(session, [row.id for row in rows if row.kind not in consumers])
            for row in wanted:
                await _consume(session, row, consumers[row.kind], at)
            return len(rows)

    return Work(name=RELAY, queue="webhooks", next_due=next_due, run=run)


async def _pass_over(session: AsyncSession, ids: list[UUID]) -> None:
    """Messages of kinds that nobody wants are done, all at once."""
    if ids:
        await session.execute(
            update(OutboxRow)
            .where(OutboxRow.id == any_(literal(ids, ARRAY(Uuid()))))
            .values(state="done", facts={})
            .execution_options(synchronize_session=False)
        )


async def _consume(session: AsyncSession, row: OutboxRow, consumers: tuple[Consumer, ...], at: datetime) -> None:
    """Do one message in a savepoint, so that a poison message delays no other (I24)."""
    message = Message(id=row.id, kind=row.kind, facts=row.facts, at=row.at)
    try:
        async with session.begin_nested():
            for consumer in consumers:
                await consumer(session, message, at)
    except Exception as fault:
        row.tries += 1
        row.fault = type(fault).__name__
        row.due_at = at + backoff(row.tries)
        row.state = "parked" if row.tries >= MOST_TRIES else "new"
        log.exception("outbox_message_failed", kind=row.kind, message_id=str(row.id), tries=row.tries)
    else:
        row.state, row.facts = "done", {}  # what is done needs no names any more (R88)


def backoff(tries: int) -> timedelta:
    """How long to wait after the `tries`-th failure: 5 s doubled each time, at most an hour.

    >>> [backoff(n).total_seconds() for n in (1, 2, 3, 20)]
    [5.0, 10.0, 20.0, 3600.0]
    """
    return min(timedelta(seconds=5) * 2 ** min(tries - 1, 16), LONGEST_WAIT)
