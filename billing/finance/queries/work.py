"""What waits for people: letters, events, messages, refunds and trials that did not go by themselves; the audit log."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.finance.filters import AuditAsked, pattern_of
from billing.finance.queries.sql import EVENT, like
from billing.kernel.audit import AuditRow
from billing.kernel.days import end_of, start_of
from billing.kernel.outbox import OutboxRow
from billing.notices.tables import LetterRow
from billing.payments.tables import IntentRow, RefundRow
from billing.trials.tables import TrialRow

MOST: Final = 200


class EventSeen(msgspec.Struct, frozen=True):
    """One event of the provider's."""

    id: str
    type: str
    object_id: str | None
    received_at: datetime
    state: str
    tries: int
    note: str | None


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for people; `counts` are of all, the lists of the first `MOST`."""

    trials: list[TrialRow]
    refunds: list[RefundRow]
    intents: list[IntentRow]
    letters: list[LetterRow]
    messages: list[OutboxRow]
    events: list[EventSeen]
    counts: dict[str, int]


async def events(session: AsyncSession, event: str | None, state: str | None) -> list[EventSeen]:
    """The provider's events, those that wait for people first, then the newest."""
    query = select(EVENT.c.id, EVENT.c.type, EVENT.c.object_id, EVENT.c.received_at, EVENT.c.state, EVENT.c.tries,
                   EVENT.c.note)  # fmt: skip
    if event:
        query = query.where(or_(EVENT.c.id == event, EVENT.c.object_id == event))
    newest = query.order_by(EVENT.c.received_at.desc(), EVENT.c.id).limit(MOST)
    if state:
        return [EventSeen(*row) for row in await session.execute(newest.where(EVENT.c.state == state))]
    parked = await session.execute(newest.where(EVENT.c.state == "parked"))
    found = {row.id: EventSeen(*row) for rows in (parked, await session.execute(newest)) for row in rows}
    return list(found.values())[:MOST]


async def letters(session: AsyncSession, state: str | None) -> list[LetterRow]:
    """Letters of a state; without one, those that could not be brought: parked, bounced, or tried in vain so far."""
    tried = and_(LetterRow.state == "planned", LetterRow.tries > 0)
    failed = LetterRow.state == "parked", or_(LetterRow.state == "bounced", tried)
    wanted = (LetterRow.state == state,) if state else failed
    newest = select(LetterRow).order_by(LetterRow.id.desc()).limit(MOST)
    found = [row for which in wanted for row in await session.scalars(newest.where(which))]
    return found[:MOST]


async def letter(session: AsyncSession, key: UUID) -> LetterRow | None:
    """One letter."""
    return await session.get(LetterRow, key)


async def tasks(session: AsyncSession) -> Tasks:
    """Everything that waits for people: refunds by the day they are due (R76), all else the oldest first."""
    row = TrialRow
    wanted: dict[str, tuple[Any, Any]] = {
        "trials": (row, and_(row.staff_since.is_not(None), row.bound_at.is_(None), row.converted_at.is_(None))),
        "refunds": (RefundRow, RefundRow.state.in_(("failed", "unknown"))),
        "intents": (IntentRow, IntentRow.state == "unknown"),
        "letters": (LetterRow, LetterRow.state == "parked"),
        "messages": (OutboxRow, OutboxRow.state == "parked"),
    }
    found: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for name, (table, waits) in wanted.items():
        first = (RefundRow.legal_due_on, RefundRow.id) if table is RefundRow else (table.id,)
        found[name] = list(await session.scalars(select(table).where(waits).order_by(*first).limit(MOST)))
        counts[name] = int(await session.scalar(select(func.count()).select_from(table).where(waits)) or 0)
    parked = select(func.count()).select_from(EVENT).where(EVENT.c.state == "parked")
    counts["events"] = int(await session.scalar(parked) or 0)
    return Tasks(**found, events=await events(session, None, "parked"), counts=counts)


async def audit_log(session: AsyncSession, asked: AuditAsked) -> list[AuditRow]:
    """A page of the audit log and one row more, newest first."""
    query = select(AuditRow)
    for column, text in ((AuditRow.actor, asked.actor), (AuditRow.action, asked.action)):
        if text:
            query = query.where(like(column, pattern_of(text)))
    if asked.subject:
        named = AuditRow.subject == asked.subject
        query = query.where(or_(named, AuditRow.account == asked.subject))
    if asked.first:
        query = query.where(AuditRow.at >= start_of(asked.first))
    if asked.last:
        query = query.where(AuditRow.at < end_of(asked.last))
    if asked.after:
        query = query.where(AuditRow.id < asked.after)
    return list(await session.scalars(query.order_by(AuditRow.id.desc()).limit(asked.size + 1)))
