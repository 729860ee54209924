"""What the provider says of a payment page becomes an order's state, a right, a refund: in one transaction (I01)."""

from datetime import date, datetime
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import rules
from billing.checkout.renewing_orders import bind_subscription
from billing.checkout.service import INTENT, close, first_instant, lock_order, order_id
from billing.checkout.tables import OrderRow
from billing.kernel import audit, outbox
from billing.kernel.days import day_of, end_of
from billing.kernel.errors import Conflict
from billing.kernel.ids import parse
from billing.kernel.money import VatMethod
from billing.ledger import service as ledger
from billing.ledger.service import Sale
from billing.payments import refunds
from billing.payments import service as payments
from billing.payments.facts import Checkout, PaymentFacts
from billing.payments.rules import Payment, Reason, Refund
from billing.subscriptions import service as subscriptions
from billing.subscriptions.service import Pass
from billing.trials import service as trials

SYSTEM = "system"


async def apply_checkout(session: AsyncSession, facts: Checkout, at: datetime) -> str:
    """Take on what the provider says of a payment page; answers the outcome in a word.

    Told again, in any order, by any number of workers, it ends the same: the order's row is locked, the payment's id is
    unique, and what the page says now is what counts (I01). A page that is not ours changes nothing (S12).
    """
    intent = await payments.intent_of_checkout(session, facts.session_id, facts.reference)
    if intent is None or intent.kind != INTENT:
        return "not_ours"
    order = await lock_order(session, parse("ord", intent.target))
    if intent.provider_id is None:
        await payments.record_done(session, intent.id, facts.session_id, at)
    if order.session_id is None:
        order.session_id, order.session_url, order.session_expires_at = facts.session_id, facts.url, facts.expires_at
    if facts.subscription_id is not None:
        return await bind_subscription(session, order, facts.subscription_id, at)
    if facts.payment is not None and facts.payment_status == "paid":
        return await _paid(session, order, facts.payment, at)
    if order.session_id != facts.session_id:
        return order.state
    if facts.status == "expired":
        order.session_expires_at, order.session_url, order.check_at = min(facts.expires_at, at), None, None
        return "page_expired"
    if order.state in rules.OPEN and facts.status == "complete":
        return await _unpaid(session, order, at, has_failed=facts.payment_failed)
    return order.state


async def _unpaid(session: AsyncSession, order: OrderRow, at: datetime, *, has_failed: bool) -> str:
    """Completed is not paid: we wait for the bank, or it has said no (R53). Where it takes days, a person looks."""
    if has_failed:
        close(session, order, "failed", at)
        await _waits_no_more(session, order, at)
        outbox.put(session, "order.failed", at, order=order_id(order), account=order.account)
        return "failed"
    if order.state == "incomplete":
        close(session, order, "pending", at)
    if at - order.created_at >= rules.PENDING_AT_MOST:
        await cases.open_case(
            session, "finding", _waiting(order), at, order=order_id(order), account=order.account,
            due_at=end_of(day_of(at)), cause="bank_says_nothing", amount=order.total,
        )  # fmt: skip
    return "pending"


def _waiting(order: OrderRow) -> str:
    return f"{order_id(order)}:waiting"


async def _waits_no_more(session: AsyncSession, order: OrderRow, at: datetime) -> None:
    await cases.close_about(
        session, "finding", _waiting(order), "explained", at, f"The bank has answered: {order.state}"
    )


async def _paid(session: AsyncSession, order: OrderRow, facts: PaymentFacts, at: datetime) -> str:
    payment, is_new = await payments.record_payment(session, order_id(order), facts, at)
    if not is_new:
        return "paid"
    if facts.currency != order.currency or (facts.amount != order.total):
        raise Conflict(
            "The payment differs from what was accepted.", code="conflict", paid=facts.amount, accepted=order.total
        )
    await ledger.book_sale(session, _sold(order, facts), facts.captured_at)
    is_first = order.paid_at is None
    # A bank may take days to say yes; once the right would be over already, the money came too late (R57).
    fate = rules.fate_of_money(
        captured_at=facts.captured_at if at < order.until else at,
        sold_until=order.sold_until,
        has_account=order.account is not None,
        is_first_payment=is_first,
        is_withdrawn=order.withdrawn_at is not None,
    )
    if is_first:
        order.paid_at = facts.captured_at
        close(session, order, "paid", at)
        await _waits_no_more(session, order, at)
    begun = await _begin(session, order, facts.captured_at, at) if fate == "fulfil" else []
    owed = payment.amount - order.unit_gross * len(begun)
    if owed:
        await give_back(session, order, payment, owed, "duplicate" if fate == "fulfil" else fate, at)
    if begun:
        outbox.put(session, "order.paid", at, order=order_id(order), pupils=begun, account=order.account)
    return "paid" if begun else "refunding"


def _sold(order: OrderRow, facts: PaymentFacts) -> Sale:
    return Sale(
        payment=facts.payment_id,
        order=order_id(order),
        gross=facts.amount,
        unit_gross=order.unit_gross,
        vat_rate_percent=order.vat_rate_percent,
        vat_method=cast("VatMethod", order.vat_method),
        first_day=day_of(first_instant(order, facts.captured_at)),
        last_day=order.last_day,
    )


async def give_for_nothing(session: AsyncSession, order: OrderRow, at: datetime) -> None:
    """An order that costs nothing is paid by the click itself; no provider hears of it (R50)."""
    if order.state == "incomplete":
        order.paid_at = at
        close(session, order, "paid", at)
        begun = await _begin(session, order, at, at)
        outbox.put(session, "order.paid", at, order=order_id(order), pupils=begun, account=order.account)


async def _begin(session: AsyncSession, order: OrderRow, captured_at: datetime, at: datetime) -> list[str]:
    """Begin the pass of each pupil who is not covered by now; answers for whom (R49)."""
    begun: list[str] = []
    for pupil in sorted(order.pupils):
        wanted = Pass(
            pupil=pupil,
            account=order.account or "",
            product=order.product,
            features=tuple(order.features),
            since=first_instant(order, captured_at),
            until=order.until,
            order=order_id(order),
        )
        if await subscriptions.begin_pass(session, wanted, at) is not None:
            begun.append(pupil)
    await trials.convert(session, begun, at)
    return begun


async def give_back(
    session: AsyncSession, order: OrderRow, payment: Payment, amount: int, reason: Reason, at: datetime, *,
    approved_by: str = SYSTEM, ended_on: date | None = None, is_told_otherwise: bool = False, scope: str = "",
) -> Refund:  # fmt: skip
    """Money that bought nothing, or nothing any more, goes back; the reason stays with it (R49, R57, R79). `ended_on`
    is the last day of service where the right ends with it; a letter of its own may tell the buyer otherwise. For one
    reason and `scope`, the payment unless said otherwise, there is one refund (I13)."""
    refund, is_new = await refunds.reserve_refund(
        session, payment.id, amount, reason, approved_by, at, scope=scope or payment.payment_id
    )
    if is_new:
        await ledger.book_refund_owed(session, payment.payment_id, refund.public_id, amount, at, ended_on=ended_on)
        audit.record(
            session, at, "order.money_given_back", order_id(order),
            actor=approved_by, account=order.account, reason=reason,
        )  # fmt: skip
    if is_new and not is_told_otherwise:
        outbox.put(
            session, "refund.reserved", at, order=order_id(order), refund=refund.public_id, account=order.account
        )
    return refund
