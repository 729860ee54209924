"""What happened becomes deliveries: one for every endpoint that wants to be told, committed with its cause (I22).

Most events are messages of the outbox, told in the relay's transaction. Changes of rights come from the front desk's
news, which are numbered after their commit without a gap: there, and only there, "all after the last" misses nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import CursorResult, LargeBinary, Text, Uuid, bindparam, delete, exists, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import iso
from billing.kernel.db import wake
from billing.kernel.errors import Gone
from billing.kernel.ids import new_id
from billing.kernel.outbox import Message
from entitlements import news
from webhooks import outgoing_rules as rules
from webhooks.outgoing_queue import SEND
from webhooks.outgoing_rules import EventName, event_id
from webhooks.outgoing_tables import DeliveryRow, EndpointRow, MarkRow

CHANGED: Final[EventName] = "entitlements.changed"

_WRITE = text(
    "insert into webhook_delivery"
    " (endpoint_id, message_id, type, account, body, created_at, state, due_at, tries)"
    " select endpoint.id, told.id, :kind, told.account, told.body, :at, 'pending', :at, 0"
    " from webhook_endpoint endpoint"
    " cross join unnest(cast(:ids as uuid[]), cast(:accounts as text[]), cast(:bodies as bytea[]))"
    " as told (id, account, body)"
    " where endpoint.state = 'enabled' and :kind = any (endpoint.events)"
    " on conflict do nothing"
).bindparams(
    bindparam("ids", type_=ARRAY(Uuid())),
    bindparam("accounts", type_=ARRAY(Text())),
    bindparam("bodies", type_=ARRAY(LargeBinary())),
)
_FIRST = text("select changed_at from entitlement_news where seq > :seq order by seq limit 1")
_LAST = text("select seq from entitlement_numbering")


async def tell(session: AsyncSession, message: Message, at: datetime) -> None:
    """An outbox message becomes a delivery for every endpoint that wants its kind, in the relay's transaction."""
    kind: EventName = msgspec.convert(message.kind, EventName)
    if kind == "account.erased":
        await _forget_account(session, str(message.facts["account"]))
    body = rules.body_of(event_id(message.id), kind, iso(message.at), message.facts)
    await _write(session, kind, [message.id], [message.facts.get("account")], [body], at)


async def _forget_account(session: AsyncSession, account: str) -> None:
    """What still waits, or is kept for replay, about somebody who is gone (R88)."""
    await session.execute(delete(DeliveryRow).where(DeliveryRow.account == account))


async def _write(
    session: AsyncSession,
    kind: EventName,
    ids: Sequence[UUID],
    accounts: Sequence[str | None],
    bodies: Sequence[bytes],
    at: datetime,
) -> None:
    values = {"kind": kind, "at": at, "ids": ids, "accounts": accounts, "bodies": bodies}
    written: CursorResult[Any] = await session.execute(_WRITE, values)  # pyright: ignore[reportAssignmentType]
    if written.rowcount:
        wake(session, (SEND,))


async def tell_news(session: AsyncSession, at: datetime, most: int) -> int:
    """The next of the front desk's news, numbered without a gap, become deliveries; answers how many were told."""
    mark = (await session.scalars(select(MarkRow).with_for_update(skip_locked=True))).one_or_none()
    if mark is None:  # somebody else is telling them now
        return 0
    if not await session.scalar(select(_is_wanted())):
        return 0
    fresh = await _news(session, mark.seq, most)
    if not fresh:
        return 0
    ids = [new_id(at) for _ in fresh]
    bodies = [
        rules.body_of(
            event_id(key),
            CHANGED,
            iso(each.changed_at),
            {
                "seq": each.seq,
                "account": each.account,
                "pupil": each.pupil,
                "cause": each.cause,
                "changed_at": iso(each.changed_at),
                "effective_at": iso(each.effective_at),
            },
        )
        for key, each in zip(ids, fresh, strict=True)
    ]
    await _write(session, CHANGED, ids, [each.account for each in fresh], bodies, at)
    mark.seq = fresh[-1].seq
    return len(fresh)


async def _news(session: AsyncSession, after: int, most: int) -> Sequence[Any]:
    try:
        found, _ = await news.read(session, after, most)
    except Gone:  # nobody was told for a month: what is kept is what can be told
        found, _ = await news.read(session, None, most)
    return found


async def begin(session: AsyncSession) -> None:
    """Somebody wants to be told of changed rights: from now on, if nobody else was being told. Whoever begins at
    the same instant waits and then sees the other: the mark passes over news only where nobody wants them."""
    mark = (await session.scalars(select(MarkRow).with_for_update())).one()
    if not await session.scalar(select(_is_wanted())):
        mark.seq = await session.scalar(_LAST) or 0


def _is_wanted() -> Any:
    return exists().where(EndpointRow.state == "enabled", EndpointRow.events.contains([CHANGED]))


async def next_news(session: AsyncSession) -> datetime | None:
    """Since when there has been news that nobody was told of; None where nobody wants any."""
    if not await session.scalar(select(_is_wanted())):
        return None
    seq = await session.scalar(select(MarkRow.seq))
    return await session.scalar(_FIRST, {"seq": seq})
