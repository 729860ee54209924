"""Outgoing deliveries: claimed for a try, and what came of it.

Only the database is used here, never the network. A delivery is due again whatever becomes of the worker that has it:
claiming takes its endpoint for two minutes at most, and only a recorded outcome ends it (I22).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Select, exists, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit, metrics
from billing.kernel.db import wake
from billing.kernel.ids import public
from webhooks import outgoing_rules as rules
from webhooks.outgoing_rules import Outcome, Parcel, Round
from webhooks.outgoing_tables import DeliveryRow, EndpointRow

SEND: Final = "outgoing.send"
RESEND: Final = "outgoing.resend"
AT_ONCE: Final = 8
"""Deliveries on their way to one endpoint at most; one that is in trouble gets one at a time."""
LEASE: Final = timedelta(minutes=2)
"""After so long a worker that has said nothing is taken for dead: far more than a try can last."""

log = structlog.get_logger(__name__)


def endpoint_id(row: EndpointRow) -> str:
    """The public id of an endpoint."""
    return public("whk", row.id)


async def next_due(session: AsyncSession, *, is_failing: bool) -> datetime | None:
    """The earliest instant at which an endpoint that is well, or one in trouble, may be given something."""
    waiting = (
        select(func.min(DeliveryRow.due_at).label("due"))
        .where(DeliveryRow.endpoint_id == EndpointRow.id, DeliveryRow.state == "pending")
        .lateral()
    )
    due = func.greatest(waiting.c.due, EndpointRow.busy_until, EndpointRow.quiet_until)
    query = select(func.min(due)).select_from(EndpointRow).join(waiting, true())
    return await session.scalar(query.where(waiting.c.due.is_not(None), *_lane(is_failing=is_failing)))


def _lane(*, is_failing: bool) -> tuple[Any, Any]:
    since = EndpointRow.failing_since
    return EndpointRow.state == "enabled", since.is_not(None) if is_failing else since.is_(None)


async def claim(session: AsyncSession, at: datetime, *, is_failing: bool) -> list[Round]:
    """For each free endpoint of a lane the next deliveries, at most `AT_ONCE`; nobody else gives it any meanwhile."""
    due = exists().where(
        DeliveryRow.endpoint_id == EndpointRow.id, DeliveryRow.state == "pending", DeliveryRow.due_at <= at
    )
    free = [or_(until.is_(None), until <= at) for until in (EndpointRow.busy_until, EndpointRow.quiet_until)]
    query = select(EndpointRow).where(*_lane(is_failing=is_failing), *free, due).order_by(EndpointRow.id)
    endpoints = (await session.scalars(query.with_for_update(skip_locked=True))).all()
    return [await _load(session, row, at, 1 if is_failing else AT_ONCE) for row in endpoints]


async def _load(session: AsyncSession, endpoint: EndpointRow, at: datetime, most: int) -> Round:
    rows = (await session.scalars(_due_of(endpoint.id, at).limit(most))).all()
    lost = [row for row in rows if row.tries >= rules.MOST_TRIES]
    for row in lost:  # its last worker never said what came of it
        row.state, row.fault = "failed", row.fault or "worker_lost"
    taken = [row for row in rows if row not in lost]
    for row in taken:
        row.tries += 1
    endpoint.busy_until = at + LEASE
    is_old_good = endpoint.old_until is not None and endpoint.old_until > at
    secrets = [endpoint.secret, endpoint.old_secret if is_old_good else None]
    return Round(
        endpoint=endpoint.id,
        url=endpoint.url,
        secrets=tuple(secret for secret in secrets if secret is not None),
        parcels=tuple(Parcel(row.message_id, row.body, row.tries) for row in taken),
    )


def _due_of(endpoint: UUID, at: datetime) -> Select[DeliveryRow]:
    return (
        select(DeliveryRow)
        .where(DeliveryRow.endpoint_id == endpoint, DeliveryRow.state == "pending", DeliveryRow.due_at <= at)
        .order_by(DeliveryRow.due_at, DeliveryRow.message_id)
        .with_for_update(skip_locked=True)
    )


async def record(
    session: AsyncSession, sent: Round, outcomes: Sequence[Outcome], begun: datetime, ended: datetime
) -> None:
    """What came of a round; the endpoint is free again, and is left alone for a while if it gave no answer at all."""
    endpoint = await session.get(EndpointRow, sent.endpoint, with_for_update=True)
    if endpoint is None:  # deleted meanwhile, and all its deliveries with it
        return
    endpoint.busy_until = None
    was_failing = endpoint.failing_since is not None
    if endpoint.state == "enabled":
        _judge_endpoint(session, endpoint, outcomes, ended)
    names = [parcel.message for parcel in sent.parcels]
    query = select(DeliveryRow).where(DeliveryRow.endpoint_id == endpoint.id, DeliveryRow.message_id.in_(names))
    rows = {row.message_id: row for row in await session.scalars(query.with_for_update())}
    for parcel, outcome in zip(sent.parcels, outcomes, strict=True):
        if parcel.message in rows and rows[parcel.message].state == "pending":
            _judge_delivery(rows[parcel.message], parcel, outcome, begun, ended)
    if endpoint.state == "disabled":
        await _give_up(session, endpoint.id)
    elif was_failing and endpoint.failing_since is None:
        wake(session, (SEND,))


def _judge_delivery(row: DeliveryRow, parcel: Parcel, outcome: Outcome, begun: datetime, ended: datetime) -> None:
    row.last_try_at, row.status, row.fault = begun, outcome.status, outcome.fault
    metrics.OUTGOING.labels("delivered" if outcome.is_delivered else "refused").inc()
    if outcome.is_delivered:
        row.state, row.delivered_at = "delivered", ended
        return
    following = rules.next_try(row.tries, ended, rules.spread_of(parcel.message, row.tries))
    if following is None:
        row.state = "failed"
        metrics.OUTGOING.labels("given_up").inc()
        log.warning("webhook_given_up", event_id=parcel.name, type=row.type, fault=row.fault, tries=row.tries)
    else:
        row.due_at = max(following, ended + outcome.asked)


def _judge_endpoint(session: AsyncSession, endpoint: EndpointRow, outcomes: Sequence[Outcome], at: datetime) -> None:
    if any(outcome.is_gone for outcome in outcomes):
        _disable(session, endpoint, "gone", at)
    elif not all(outcome.is_unwell for outcome in outcomes):
        endpoint.failing_since, endpoint.failures, endpoint.quiet_until = None, 0, None
    elif outcomes:
        since = endpoint.failing_since or at
        endpoint.failing_since, endpoint.failures = since, endpoint.failures + 1
        asked = max(outcome.asked for outcome in outcomes)
        endpoint.quiet_until = at + max(rules.quiet_after(endpoint.failures), asked)
        if at - since >= rules.FAILING_FOR:
            _disable(session, endpoint, "failing", at)


def _disable(session: AsyncSession, endpoint: EndpointRow, reason: str, at: datetime) -> None:
    """Nothing more is told to it until somebody enables it again."""
    endpoint.state, endpoint.disabled_reason = "disabled", reason
    endpoint.failing_since, endpoint.failures, endpoint.quiet_until = None, 0, None
    audit.record(session, at, "webhook_endpoint.disabled", endpoint_id(endpoint), after="disabled", reason=reason)
    metrics.OUTGOING.labels("endpoint_disabled").inc()
    log.warning("webhook_endpoint_disabled", endpoint=endpoint_id(endpoint), reason=reason)


async def _give_up(session: AsyncSession, endpoint: UUID) -> None:
    """All that still waited for an endpoint is over; it can be replayed."""
    of_it = (DeliveryRow.endpoint_id == endpoint) & (DeliveryRow.state == "pending")
    await session.execute(update(DeliveryRow).where(of_it).values(state="failed", fault="endpoint_disabled"))
