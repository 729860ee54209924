"""Endpoints and their deliveries, as their owner sees and steers them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import CursorResult, and_, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit
from billing.kernel.db import wake
from billing.kernel.errors import Conflict, Fault, Invalid, NotFound
from billing.kernel.ids import new_id, parse
from billing.kernel.sealing import seal, unseal
from webhooks import outgoing_rules as rules
from webhooks import outgoing_telling as telling
from webhooks.outgoing_addresses import fault_of
from webhooks.outgoing_queue import SEND, endpoint_id
from webhooks.outgoing_rules import EventName
from webhooks.outgoing_signing import new_secret
from webhooks.outgoing_tables import DeliveryRow, EndpointRow

MOST_ENDPOINTS: Final = 20


async def create(
    session: AsyncSession, url: str, events: Sequence[EventName], at: datetime, *, secret: str, loopback: bool
) -> tuple[EndpointRow, str]:
    """A fresh endpoint and its secret, told this once. Raises Invalid for an address that may not be called."""
    words = fault_of(url, loopback=loopback)
    if words is not None:
        raise Invalid("This address may not be called.", faults=(Fault("/url", "address_refused", words),))
    if (await session.scalar(select(func.count()).select_from(EndpointRow)) or 0) >= MOST_ENDPOINTS:
        raise Conflict(f"There are {MOST_ENDPOINTS} endpoints already; delete one first.")
    if telling.CHANGED in events:
        await telling.begin(session)
    key, clear = new_id(at), new_secret()
    row = EndpointRow(
        id=key, url=url, events=list(dict.fromkeys(events)), state="enabled", secret=_sealed(secret, key, clear),
        created_at=at, failures=0,
    )  # fmt: skip
    session.add(row)
    audit.record(session, at, "webhook_endpoint.created", endpoint_id(row), after="enabled")
    return row, clear


async def every(session: AsyncSession) -> list[EndpointRow]:
    """All endpoints, oldest first."""
    return list(await session.scalars(select(EndpointRow).order_by(EndpointRow.id)))


async def get(session: AsyncSession, public_id: str, *, lock: bool = False) -> EndpointRow:
    """One endpoint. Raises NotFound."""
    row = await session.get(EndpointRow, parse("whk", public_id), with_for_update=lock or None)
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    return row


async def remove(session: AsyncSession, public_id: str, at: datetime) -> None:
    """Forget an endpoint, its secret and its deliveries; what is on its way now may still arrive."""
    row = await get(session, public_id, lock=True)
    audit.record(session, at, "webhook_endpoint.deleted", endpoint_id(row), before=row.state)
    await session.delete(row)


async def rotate(session: AsyncSession, public_id: str, at: datetime, *, secret: str) -> tuple[EndpointRow, str]:
    """A new secret, told this once; the one before signs beside it for a day, one before that no more."""
    row = await get(session, public_id, lock=True)
    clear = new_secret()
    row.old_secret, row.old_until = row.secret, at + rules.OLD_SECRET
    row.secret = _sealed(secret, row.id, clear)
    audit.record(session, at, "webhook_endpoint.secret_rotated", endpoint_id(row))
    return row, clear


async def enable(session: AsyncSession, public_id: str, at: datetime) -> EndpointRow:
    """Tell it of what happens from now on; what it missed can be replayed."""
    row = await get(session, public_id, lock=True)
    if row.state == "disabled":
        if telling.CHANGED in row.events:
            await telling.begin(session)
        row.state, row.disabled_reason = "enabled", None
        audit.record(session, at, "webhook_endpoint.enabled", endpoint_id(row), before="disabled", after="enabled")
    return row


async def deliveries(session: AsyncSession, endpoint: UUID, limit: int, before: UUID | None) -> list[DeliveryRow]:
    """Newest first, those before one of them; one more than asked for tells that there are more."""
    query = select(DeliveryRow).where(DeliveryRow.endpoint_id == endpoint)
    if before is not None:
        query = query.where(DeliveryRow.message_id < before)
    return list(await session.scalars(query.order_by(DeliveryRow.message_id.desc()).limit(limit + 1)))


async def retry(session: AsyncSession, endpoint: str, event: str, at: datetime) -> DeliveryRow:
    """Send one again, now, whatever became of it before; with all its tries before it. Raises NotFound, Conflict."""
    owner = await _enabled(session, endpoint)
    row = await session.get(DeliveryRow, (owner.id, parse("evt", event)), with_for_update=True)
    if row is None:
        raise NotFound("There is no such delivery.")
    row.state, row.tries, row.due_at, row.delivered_at = "pending", 0, at, None
    owner.quiet_until = None
    wake(session, (SEND,))
    return row


async def replay(session: AsyncSession, endpoint: str, since: datetime, until: datetime, at: datetime) -> int:
    """Send all those again that were given up and are of a time; answers how many. Raises NotFound, Conflict."""
    owner = await _enabled(session, endpoint)
    of_it = and_(DeliveryRow.endpoint_id == owner.id, DeliveryRow.state == "failed")
    of_then = and_(DeliveryRow.created_at >= since, DeliveryRow.created_at < until)
    again: CursorResult[tuple[()]] = await session.execute(  # pyright: ignore[reportAssignmentType] - an update's
        update(DeliveryRow).where(of_it, of_then).values(state="pending", tries=0, due_at=at)
    )
    wake(session, (SEND,))
    return again.rowcount


async def _enabled(session: AsyncSession, endpoint: str) -> EndpointRow:
    row = await get(session, endpoint, lock=True)
    if row.state != "enabled":
        raise Conflict("This endpoint is disabled; enable it first.")
    return row


async def forget(session: AsyncSession, at: datetime, limit: int) -> int:
    """Drop deliveries that were kept long enough, and old secrets that sign no more; answers how many."""
    over = update(EndpointRow).where(EndpointRow.old_until <= at).values(old_secret=None, old_until=None)
    wiped: CursorResult[tuple[()]] = await session.execute(over)  # pyright: ignore[reportAssignmentType]
    key = (DeliveryRow.endpoint_id, DeliveryRow.message_id)
    old = (
        select(*key)
        .where(DeliveryRow.state != "pending", DeliveryRow.created_at <= at - rules.KEPT)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone: CursorResult[tuple[()]] = await session.execute(  # pyright: ignore[reportAssignmentType]
        delete(DeliveryRow).where(tuple_(*key).in_(old))
    )
    return wiped.rowcount + gone.rowcount


async def next_forgotten(session: AsyncSession) -> datetime | None:
    """When something may next be dropped."""
    oldest = await session.scalar(select(func.min(DeliveryRow.created_at)).where(DeliveryRow.state != "pending"))
    until = await session.scalar(select(func.min(EndpointRow.old_until)))
    dropped = None if oldest is None else oldest + rules.KEPT
    return min((instant for instant in (dropped, until) if instant is not None), default=None)


def unsealed(secret: str, endpoint: UUID, sealed: bytes) -> str:
    """An endpoint's secret as it was told. Raises NotSealedHere."""
    return unseal(secret, _name(endpoint), sealed).decode()


def _sealed(secret: str, endpoint: UUID, clear: str) -> bytes:
    return seal(secret, _name(endpoint), clear.encode())


def _name(endpoint: UUID) -> str:
    return f"webhook_endpoint:{endpoint}"
