"""Giving money back: reserved under the payment's lock, at most once for a reason, never more than was paid (I13, R77).

Every function works inside the caller's transaction; none of them calls anybody.
"""

from datetime import date, datetime
from typing import cast
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit
from billing.kernel.days import day_of
from billing.kernel.db import wake
from billing.kernel.ids import new_id, parse, public
from billing.kernel.outbox import backoff
from billing.payments.facts import OpenRefund, RefundFacts
from billing.payments.rules import (
    FINAL,
    UNSETTLED,
    Intent,
    Reason,
    Refund,
    RefundStanding,
    RefundTooLarge,
    UnknownPayment,
    refund_due_on,
    refund_move,
)
from billing.payments.service import read_intent, record_found, reserve
from billing.payments.tables import IntentRow, PaymentRow, RefundRow

PREFIX = "ref"
INTENT_KIND = "refund"


async def reserve_refund(
    session: AsyncSession,
    payment: UUID,
    amount: int,
    reason: Reason,
    approved_by: str,
    at: datetime,
    *,
    scope: str = "",
    received_on: date | None = None,
) -> tuple[Refund, bool]:
    """Set `amount` grosz of a payment aside to be given back; answers the refund and whether it is new.

    Asked again for the same order, reason and scope, the first refund is answered, whatever the amount (I13). The money
    is due 14 days after `received_on`, when the claim came in; today unless given (R76).
    Raises RefundTooLarge when all refunds together, with those that failed and are still owed, would exceed what was
    paid (R77), UnknownPayment.
    """
    paid = await _lock_payment(session, payment)
    query = select(RefundRow).where(
        RefundRow.order_id == paid.order_id, RefundRow.reason == reason, RefundRow.scope == scope
    )
    earlier = await session.scalar(query)
    if earlier is not None:
        return await _refund(session, earlier), False
    taken = paid.refund_reserved + await _still_owed(session, paid)
    if amount <= 0 or taken + amount > paid.amount:
        raise RefundTooLarge("All refunds together would exceed what was paid.", paid=paid.amount, reserved=taken)
    paid.refund_reserved += amount
    row = RefundRow(
        id=new_id(at), payment_id=paid.id, order_id=paid.order_id, reason=reason, scope=scope, amount=amount,
        state="new", approved_by=approved_by, created_at=at, due_at=at,
        legal_due_on=refund_due_on(received_on or day_of(at)),
    )  # fmt: skip
    session.add(row)
    wake(session, ("refunds.send",))
    audit.record(
        session, at, "refund.reserved", public(PREFIX, row.id),
        actor=approved_by, after="new", reason=reason, order=paid.order_id, amount=amount,
    )  # fmt: skip
    await session.flush()
    return await _refund(session, row), True


async def refund_intent(session: AsyncSession, refund: Refund, at: datetime) -> Intent:
    """The intent to ask the provider for this refund."""
    request = OpenRefund(
        key="", reference=refund.public_id, payment_id=refund.payment_id, amount=refund.amount, order=refund.order
    )
    return await reserve(session, INTENT_KIND, refund.public_id, request, at, reference=refund.public_id)


async def open_intent(session: AsyncSession, refund: Refund) -> Intent | None:
    """The intent to ask for this refund, if one was reserved and is not over."""
    query = select(IntentRow.id).where(
        IntentRow.kind == INTENT_KIND, IntentRow.target == refund.public_id, IntentRow.state != "refused"
    )
    key = await session.scalar(query)
    return None if key is None else await read_intent(session, key)


async def standing_of(session: AsyncSession, facts: RefundFacts) -> RefundStanding | None:
    """How the refund stands with us before news of it are taken on, its payment locked; None: not ours."""
    row = await _row_of(session, facts)
    if row is None:
        return None
    await _lock_payment(session, row.payment_id)
    await session.refresh(row)
    return cast("RefundStanding", row.state)


async def record_refund(session: AsyncSession, facts: RefundFacts, at: datetime) -> tuple[Refund, bool] | None:
    """Take on what the provider says of a refund; answers it and whether its state changed, None if it is not ours.

    Ours is one whose provider id we know, or that carries our reference (its answer may have been lost). A refund that
    fails is owed as before, and must go another way (R75).
    """
    row = await _row_of(session, facts)
    if row is None:
        return None
    paid = await session.get(PaymentRow, row.payment_id, with_for_update=True, populate_existing=True)
    if paid is None or (facts.payment_id not in {None, paid.stripe_payment_intent}):
        raise UnknownPayment("The refund names another payment than ours.", refund=public(PREFIX, row.id))
    await session.refresh(row, with_for_update=True)
    before = cast("RefundStanding", row.state)
    after = refund_move(before, facts.state)
    row.stripe_refund = facts.refund_id
    row.fault = facts.fault
    await record_found(session, INTENT_KIND, public(PREFIX, row.id), facts.refund_id, at)
    if before != after:
        _move(row, paid, after, at)
        audit.record(
            session, at, "refund.moved", public(PREFIX, row.id), before=before, after=after, reason=facts.fault
        )
    await session.flush()
    return await _refund(session, row), before != after


async def record_refund_refused(session: AsyncSession, refund_id: UUID, fault: str, at: datetime) -> Refund:
    """The provider will not make this refund: it failed, and its money is owed as before (R75)."""
    row, paid = await lock_refund(session, refund_id)
    if row.state in {"new", "unknown"}:
        before = row.state
        row.fault = fault
        _move(row, paid, "failed", at)
        audit.record(session, at, "refund.moved", public(PREFIX, row.id), before=before, after="failed", reason=fault)
        await session.flush()
    return await _refund(session, row)


async def read_refund(session: AsyncSession, refund_id: UUID) -> Refund:
    """The refund as it stands. Raises UnknownPayment."""
    return await _refund(session, await _found(session, refund_id))


async def lock_refund(session: AsyncSession, refund_id: UUID) -> tuple[RefundRow, PaymentRow]:
    """The refund with its payment, the payment locked first. Raises UnknownPayment."""
    row = await _found(session, refund_id)
    paid = await _lock_payment(session, row.payment_id)
    await session.refresh(row, with_for_update=True)
    return row, paid


async def refunds_of(session: AsyncSession, order: str) -> tuple[Refund, ...]:
    """Every refund of an order, oldest first."""
    query = select(RefundRow).where(RefundRow.order_id == order).order_by(RefundRow.created_at, RefundRow.id)
    return tuple([await _refund(session, row) for row in await session.scalars(query)])


async def claim_due(session: AsyncSession, at: datetime, limit: int = 20) -> list[UUID]:
    """Refunds to send, or to ask about again; each is due again later whatever comes of it (R76)."""
    query = (
        select(RefundRow)
        .where(RefundRow.state.in_(UNSETTLED), RefundRow.due_at <= at)
        .order_by(RefundRow.due_at, RefundRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        row.tries += 1
        row.due_at = at + backoff(row.tries)
    return [row.id for row in rows]


async def next_due(session: AsyncSession) -> datetime | None:
    """When the next refund is to be sent or asked about."""
    return await session.scalar(select(func.min(RefundRow.due_at)).where(RefundRow.state.in_(UNSETTLED)))


async def _still_owed(session: AsyncSession, paid: PaymentRow) -> int:
    """What refunds that failed still owe to the buyer, in grosz: a person sends it another way, or waives it (R75)."""
    failed = select(func.sum(RefundRow.amount)).where(RefundRow.payment_id == paid.id, RefundRow.state.in_(FINAL))
    return int(await session.scalar(failed) or 0)


async def _found(session: AsyncSession, refund_id: UUID) -> RefundRow:
    row = await session.get(RefundRow, refund_id)
    if row is None:
        raise UnknownPayment("There is no such refund.", refund=public(PREFIX, refund_id))
    return row


async def _lock_payment(session: AsyncSession, payment: UUID) -> PaymentRow:
    row = await session.get(PaymentRow, payment, with_for_update=True, populate_existing=True)
    if row is None:
        raise UnknownPayment("There is no such payment.", payment=str(payment))
    return row


def _move(row: RefundRow, paid: PaymentRow, after: str, at: datetime) -> None:
    row.state = after
    if after in FINAL:
        paid.refund_reserved -= row.amount
    if after == "succeeded" or after in FINAL:
        row.settled_at = at


async def _row_of(session: AsyncSession, facts: RefundFacts) -> RefundRow | None:
    row = await session.scalar(select(RefundRow).where(RefundRow.stripe_refund == facts.refund_id))
    if row is not None or facts.reference is None or not facts.reference.startswith(f"{PREFIX}_"):
        return row
    return await session.get(RefundRow, parse(PREFIX, facts.reference))


async def _refund(session: AsyncSession, row: RefundRow) -> Refund:
    paid = await session.get_one(PaymentRow, row.payment_id)
    return Refund(
        id=row.id,
        public_id=public(PREFIX, row.id),
        payment=row.payment_id,
        payment_id=paid.stripe_payment_intent,
        order=row.order_id,
        reason=cast("Reason", row.reason),
        scope=row.scope,
        amount=row.amount,
        state=cast("RefundStanding", row.state),
        approved_by=row.approved_by,
        created_at=row.created_at,
        legal_due_on=row.legal_due_on,
        provider_id=row.stripe_refund,
        fault=row.fault,
    )
