"""Writing down what we will ask, what came of it, and what was paid and given back. Nothing here calls anybody.

Every function works inside the caller's transaction and takes the session, never the gateway; `calls.py` alternates
between the two, `refunds.py` holds the refunds.
"""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id, parse, public
from billing.payments.facts import PaymentFacts
from billing.payments.rules import (
    ForeignObject,
    Intent,
    IntentState,
    OutcomeUnknown,
    Payment,
    Step,
    UnknownPayment,
    next_step,
)
from billing.payments.tables import IntentRow, PaymentRow

INTENT = "int"


async def reserve(
    session: AsyncSession,
    kind: str,
    target: str,
    request: msgspec.Struct | dict[str, Any],
    at: datetime,
    *,
    again: bool = False,
    reference: str | None = None,
) -> Intent:
    """The intent to call the provider about `target` (a public id), made now or found.

    One that is new or unknown is answered as it is, with its own request (I15); so is a done one, unless `again` asks
    for a further object (its page has expired). After a refusal a new attempt begins, with a key of its own. The
    request's `key` and `reference` are filled in from the intent (`int_…`, unless a `reference` is given), so that
    what one attempt made is never taken for another's.
    """
    await _lock(session, kind, target)
    last = await session.scalar(
        select(IntentRow)
        .where(IntentRow.kind == kind, IntentRow.target == target)
        .order_by(IntentRow.attempt.desc())
        .limit(1)
    )
    if last is not None and (last.state in {"new", "unknown"} or (last.state == "done" and not again)):
        return _intent(last)
    attempt = 1 if last is None else last.attempt + 1
    intent_id, key = new_id(at), f"{kind}-{target}-{attempt}"
    body = cast("dict[str, Any]", msgspec.json.decode(msgspec.json.encode(request))) | {
        "key": key,
        "reference": reference or public(INTENT, intent_id),
    }
    row = IntentRow(
        id=intent_id, kind=kind, target=target, attempt=attempt, key=key, request=body, created_at=at, tries=0,
        state="new",
    )  # fmt: skip
    session.add(row)
    await session.flush()
    return _intent(row)


async def read_intent(session: AsyncSession, intent_id: UUID) -> Intent:
    """The intent as it stands. Raises UnknownPayment."""
    return _intent(await _intent_row(session, intent_id))


async def last_of_kind(session: AsyncSession, kind: str, state: IntentState | None = None) -> Intent | None:
    """The last intent of a kind, or the last that stands so, whatever its target."""
    query = select(IntentRow).where(IntentRow.kind == kind).order_by(IntentRow.created_at.desc(), IntentRow.id.desc())
    row = await session.scalar((query if state is None else query.where(IntentRow.state == state)).limit(1))
    return None if row is None else _intent(row)


async def unanswered(session: AsyncSession, kind: str, target: str) -> list[Intent]:
    """The intents of a kind about a target, or about parts of it (`target:…`), whose outcome is not known, locked."""
    about = or_(IntentRow.target == target, IntentRow.target.startswith(f"{target}:", autoescape=True))
    query = select(IntentRow).where(IntentRow.kind == kind, about, IntentRow.state.in_(("new", "unknown")))
    return [_intent(row) for row in await session.scalars(query.order_by(IntentRow.id).with_for_update())]


async def first_call_at(session: AsyncSession) -> datetime | None:
    """When the provider was first asked for anything; before that it can have had nothing to tell us."""
    return await session.scalar(select(IntentRow.created_at).order_by(IntentRow.id).limit(1))


async def intent_of_checkout(session: AsyncSession, session_id: str, reference: str | None) -> Intent | None:
    """The intent a payment page was opened for; None when we never opened it.

    Bound by the page's id as we wrote it down, or, where its answer was lost, by the reference only we could have given
    it; never by its metadata. Raises ForeignObject when a second page names an intent that has one (S12).
    """
    row = await session.scalar(select(IntentRow).where(IntentRow.provider_id == session_id))
    if row is None and reference is not None:
        try:
            row = await session.get(IntentRow, parse(INTENT, reference))
        except NotFound:
            return None
        if row is not None and row.provider_id is not None:
            raise ForeignObject("This intent has another payment page.", session=session_id)
    return None if row is None else _intent(row)


async def begin_try(session: AsyncSession, intent_id: UUID, at: datetime) -> tuple[Intent, Step]:
    """Say, before calling, that we are about to: the step that is allowed now, counted where it is a send.

    From here on the outcome is unknown until recorded, so that a crash in mid-call leaves it so (I15).
    """
    row = await _intent_row(session, intent_id)
    step = next_step(_intent(row), at)
    if step == "send":
        row.tries += 1
        row.state, row.fault = "unknown", None
        row.sent_at = at
        await session.flush()
    return _intent(row), step


async def record_done(session: AsyncSession, intent_id: UUID, provider_id: str, at: datetime) -> None:
    """The provider did it and calls it `provider_id`."""
    row = await _intent_row(session, intent_id)
    if row.state == "done" and row.provider_id != provider_id:
        raise OutcomeUnknown("The provider made two objects for one intent.", intent=str(intent_id))
    if row.state != "done":
        row.state, row.provider_id, row.resolved_at, row.fault = "done", provider_id, at, None
        await session.flush()


async def record_found(session: AsyncSession, kind: str, target: str, provider_id: str, at: datetime) -> None:
    """The provider told us of it otherwise: a call about `target` whose answer was lost is done (I15)."""
    query = select(IntentRow.id).where(IntentRow.kind == kind, IntentRow.target == target, IntentRow.state == "unknown")
    lost = await session.scalar(query)
    if lost is not None:
        await record_done(session, lost, provider_id, at)


async def record_refused(session: AsyncSession, intent_id: UUID, fault: str, at: datetime) -> None:
    """It was surely not done, and this attempt never will be; the next `reserve` begins another."""
    row = await _intent_row(session, intent_id)
    if row.state != "done":
        row.state, row.fault, row.resolved_at = "refused", fault, at
        await session.flush()


async def record_unknown(session: AsyncSession, intent_id: UUID, fault: str) -> None:
    """Nobody can say whether it was done."""
    row = await _intent_row(session, intent_id)
    if row.state != "done":
        row.state, row.fault = "unknown", fault
        await session.flush()


async def record_not_done(session: AsyncSession, intent_id: UUID, fault: str) -> None:
    """Too many calls: the send was surely not done; the same intent may be sent again under its key."""
    row = await _intent_row(session, intent_id)
    if row.state != "done":
        row.tries = max(0, row.tries - 1)
        row.state = "new" if row.tries == 0 else "unknown"
        row.fault = fault
        await session.flush()


async def record_not_now(session: AsyncSession, intent_id: UUID, fault: str, at: datetime) -> None:
    """Surely not done by this send, for a cause of ours. The provider may keep that answer under the key, so the next
    attempt has another, unless an earlier send under this one may have been done."""
    row = await _intent_row(session, intent_id)
    if row.tries > 1:
        await record_not_done(session, intent_id, fault)
    else:
        await record_refused(session, intent_id, fault, at)


async def record_payment(
    session: AsyncSession, order: str, facts: PaymentFacts, at: datetime, *, intent_id: UUID | None = None
) -> tuple[Payment, bool]:
    """Write down captured money of an order; answers the payment and whether it is news (I12).

    Told again, only what may change is taken on: the amount refunded, and the charge.
    """
    statement = (
        insert(PaymentRow)
        .values(
            id=new_id(at),
            order_id=order,
            intent_id=intent_id,
            stripe_payment_intent=facts.payment_id,
            stripe_charge=facts.charge_id,
            amount=facts.amount,
            currency=facts.currency,
            method=facts.method,
            captured_at=facts.captured_at,
            amount_refunded=facts.amount_refunded,
            refund_reserved=0,
            receipt_url=facts.receipt_url,
            recorded_at=at,
        )
        .on_conflict_do_nothing()
        .returning(PaymentRow.id)
    )
    is_new = await session.scalar(statement) is not None
    query = select(PaymentRow).where(PaymentRow.stripe_payment_intent == facts.payment_id).with_for_update()
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise OutcomeUnknown("This charge belongs to another payment.", order=order)
    if is_new:
        audit.record(session, at, "payment.recorded", order, after="paid", amount=facts.amount, method=facts.method)
    elif row.order_id != order:
        raise OutcomeUnknown("This payment belongs to another order.", order=order)
    else:
        row.amount_refunded = max(row.amount_refunded, facts.amount_refunded)
    await session.flush()
    return _payment(row), is_new


async def payments_of(session: AsyncSession, order: str, *, lock: bool = False) -> tuple[Payment, ...]:
    """Every payment of an order, oldest first; locked until the transaction ends, if asked."""
    query = select(PaymentRow).where(PaymentRow.order_id == order).order_by(PaymentRow.captured_at, PaymentRow.id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return tuple(_payment(row) for row in await session.scalars(query))


async def find_payment(session: AsyncSession, provider_id: str) -> Payment | None:
    """The payment the provider calls `provider_id` (`pi_…` or `ch_…`)."""
    query = select(PaymentRow).where(
        (PaymentRow.stripe_payment_intent == provider_id) | (PaymentRow.stripe_charge == provider_id)
    )
    row = await session.scalar(query)
    return None if row is None else _payment(row)


async def _intent_row(session: AsyncSession, intent_id: UUID) -> IntentRow:
    row = await session.get(IntentRow, intent_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise UnknownPayment("There is no such intent.", intent=str(intent_id))
    return row


async def _lock(session: AsyncSession, kind: str, target: str) -> None:
    """One at a time for each target, until this transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{kind}:{target}", 0))))


def _intent(row: IntentRow) -> Intent:
    return Intent(
        id=row.id,
        kind=row.kind,
        target=row.target,
        attempt=row.attempt,
        key=row.key,
        request=row.request,
        state=cast("IntentState", row.state),
        provider_id=row.provider_id,
        tries=row.tries,
        created_at=row.created_at,
        sent_at=row.sent_at,
        fault=row.fault,
    )


def _payment(row: PaymentRow) -> Payment:
    return Payment(
        id=row.id,
        order=row.order_id,
        payment_id=row.stripe_payment_intent,
        charge_id=row.stripe_charge,
        amount=row.amount,
        currency=row.currency,
        method=row.method,
        captured_at=row.captured_at,
        amount_refunded=row.amount_refunded,
        refund_reserved=row.refund_reserved,
    )
