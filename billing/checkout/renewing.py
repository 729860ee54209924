"""What the provider says of a renewing subscription becomes payments, periods, refunds and states: in one transaction.

First payment and renewals take the same road. Told again, in any order, by any number of workers, it ends the same: the
order's row is locked, each invoice is known once, and what is known of it only goes forward (I01).
"""

from datetime import datetime
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from billing.checkout.fulfilment import give_back
from billing.checkout.service import close, lock_order
from billing.checkout.tables import OrderRow
from billing.kernel import outbox
from billing.kernel.days import day_of, last_day_before
from billing.kernel.db import wake
from billing.kernel.ids import parse, public
from billing.kernel.money import VatMethod
from billing.ledger import service as ledger
from billing.ledger.service import Sale
from billing.payments import service as payments
from billing.payments.facts import PaymentFacts
from billing.payments.gateway_renewals import InvoiceFacts, MandateFacts, SubscriptionFacts
from billing.payments.rules import Payment, Reason
from billing.subscriptions import charges, periods, renewing, rows, wishes
from billing.subscriptions import renewing_rules as rules
from billing.subscriptions.periods import terms_of
from billing.subscriptions.renewing_rules import Invoice
from billing.subscriptions.rows import Renewal, RenewalChange, RenewalInvoice
from billing.subscriptions.rules import OVER
from billing.subscriptions.wishes import say
from billing.trials import service as trials

CHANGE = "renewal_change"


async def is_bound(session: AsyncSession, subscription_id: str) -> bool:
    """Whether this subscription is known to be ours."""
    return await renewing.of_provider(session, subscription_id) is not None


async def apply_subscription(session: AsyncSession, facts: SubscriptionFacts, at: datetime) -> str:
    """Take on what the provider says of a subscription; answers the outcome in a word. One that no page of ours has
    begun is not ours, and changes nothing."""
    known = await renewing.of_provider(session, facts.subscription_id)
    if known is None:
        return "not_ours"
    order = await lock_order(session, parse("ord", known.order_id))
    row = await wishes.lock(session, known.id)
    row.provider_customer, row.provider_method = facts.customer_id, facts.method_id or row.provider_method
    for told in facts.invoices:
        await _take(session, order, row, told, at)
    _agree_with(session, row, facts, at)
    await periods.settle(session, row, at)
    return row.state


async def apply_mandate(session: AsyncSession, facts: MandateFacts, at: datetime) -> str:
    """A bank's permission that is gone: renewal is off at once, and nothing is tried again (R68)."""
    row = None if facts.method_id is None else await rows.of_method(session, facts.method_id)
    if row is None:
        return "not_ours"
    if facts.is_active or row.state in OVER or row.state == "new":
        return "nothing to do"
    await renewing.turn_off(session, row, at, reason="mandate_revoked")
    await periods.settle(session, row, at)
    return "mandate revoked"


def _agree_with(session: AsyncSession, row: Renewal, facts: SubscriptionFacts, at: datetime) -> None:
    """What the provider does by itself: the next charge day, and an end. What it was told otherwise, by its own pages
    or people, is looked at with the row's revision in hand (`renewals.push`), since this reading may be older."""
    if row.charge_at is None or facts.period_end > row.charge_at:
        row.charge_at, row.checks = facts.period_end, 0
    if facts.is_over and row.is_renewal_on and row.state not in OVER:
        wishes.switch_off(session, row, at, "payment_failed" if _has_given_up(facts) else "at_provider")
    wanted = (not row.is_renewal_on, row.is_paused)
    if not facts.is_over and row.pushed == row.revision and wanted != (facts.ends, facts.is_paused):
        row.push_at = at
        wake(session, (wishes.PUSH,))


def _has_given_up(facts: SubscriptionFacts) -> bool:
    return facts.ended_reason == "payment_failed" or facts.standing == "unpaid"


async def _take(session: AsyncSession, order: OrderRow, row: Renewal, told: InvoiceFacts, at: datetime) -> None:
    """One invoice: written down, and its money, once, a period or back to where it came from (I12)."""
    known = await rows.invoice(session, told.invoice_id)
    if told.amount <= 0:
        return
    now = rules.merged(None if known is None else periods.invoice_of(known), told)
    if known is None:
        known = RenewalInvoice(provider_id=told.invoice_id, renewal_id=row.id, reason=now.reason, amount=now.amount,
                                  quantity=now.quantity, covers_from=now.covers_from, covers_until=now.covers_until,
                                  made_at=now.made_at)  # fmt: skip
        session.add(known)
    known.state, known.attempts, known.next_attempt_at = now.state, now.attempts, now.next_attempt_at
    await session.flush()
    if now.state != "paid" or now.fate is not None or told.payment is None:
        return
    payment, is_new = await payments.record_payment(session, row.order_id, told.payment, at)
    if not is_new:
        return
    known.payment_id = told.payment.payment_id
    await ledger.book_sale(session, _sold(order, row, now, told.payment), told.payment.captured_at)
    await _judge(session, order, row, known, payment, at)


async def _judge(
    session: AsyncSession, order: OrderRow, row: Renewal, known: RenewalInvoice, payment: Payment, at: datetime
) -> None:
    invoice = periods.invoice_of(known)
    change = await _change_of(session, row, invoice)
    fate = rules.fate_of(
        invoice, payment.captured_at, terms_of(row), agreed_change=None if change is None else change.amount,
        is_clear=row.period_end is None or await charges.was_clear(session, row, invoice),
    )  # fmt: skip
    if order.withdrawn_at is not None:
        fate = "late"
    is_first = order.paid_at is None
    if is_first:
        order.paid_at = payment.captured_at
        close(session, order, "paid", at)
    owed = payment.amount
    if fate == "kept":
        gone = await _give_period(session, row, invoice, change, payment, at)
        is_whole = change is not None or not is_first
        owed = payment.amount if gone and is_whole else row.unit_gross * gone
    known.fate = "given_back" if owed == payment.amount else "kept"
    if owed:
        reason: Reason = "withdrawal" if order.withdrawn_at else ("late" if fate == "late" else "duplicate")
        await give_back(session, order, payment, owed, reason, at)
    await session.flush()
    if known.fate == "given_back":
        _stop(session, row, fate, at)
    elif is_first:
        outbox.put(session, "order.paid", at, order=row.order_id, pupils=row.pupils, account=row.account)
    else:
        kind = "renewal.renewed" if change is None else "renewal.changed"
        say(session, row, kind, at, invoice=known.provider_id, amount=known.amount)


def _stop(session: AsyncSession, row: Renewal, fate: str, at: datetime) -> None:
    """Money that bought nothing must not come again."""
    if row.state == "new" and row.period_end is None:
        wishes.move(session, row, "ended", at, reason=fate)
    if row.is_renewal_on:
        wishes.switch_off(session, row, at, "covered" if fate != "late" else "over")
    else:
        wishes.want(session, row, at)


async def _give_period(
    session: AsyncSession, row: Renewal, invoice: Invoice, change: RenewalChange | None, payment: Payment,
    at: datetime,
) -> int:  # fmt: skip
    """Let the pupils have what was paid for; answers for how many there is nothing to give, since they are covered
    (I11, R49)."""
    since = max(invoice.covers_from, payment.captured_at)
    if change is not None:
        change.state, change.invoice_id = "done", invoice.invoice_id
        for intent in await payments.unanswered(session, CHANGE, public("rch", change.id)):
            await payments.record_done(session, intent.id, f"{row.provider_id}:{intent.id.hex}", at)
        row.product, row.product_name = change.product, change.product_name
        row.interval, row.unit_gross = change.interval, change.unit_gross
    fresh = list(row.pupils) if row.period_end is None else [change.pupil] if change and change.pupil else []
    if row.period_end is not None and not fresh:
        return await periods.covered_elsewhere(session, row, invoice)
    row.period_start, row.period_end = row.period_start or invoice.covers_from, invoice.covers_until
    begun = await periods.begin(session, row, fresh, since, invoice.covers_until, at)
    row.pupils = sorted({*begun, *(pupil for pupil in row.pupils if pupil not in fresh)})
    await trials.convert(session, begun, at)
    if not row.pupils:
        row.period_start = row.period_end = None
    elif len(begun) < len(fresh):
        wishes.want(session, row, at)
    return len(fresh) - len(begun)


async def _change_of(session: AsyncSession, row: Renewal, invoice: Invoice) -> RenewalChange | None:
    """The one change the buyer has accepted and that waits for its invoice."""
    if invoice.reason != "subscription_update":
        return None
    return await rows.accepted_change(session, row.id, invoice.amount)


def _sold(order: OrderRow, row: Renewal, invoice: Invoice, paid: PaymentFacts) -> Sale:
    is_whole = invoice.amount == row.unit_gross * max(1, len(row.pupils))
    return Sale(
        payment=paid.payment_id,
        order=row.order_id,
        gross=paid.amount,
        unit_gross=row.unit_gross if is_whole else paid.amount,
        vat_rate_percent=order.vat_rate_percent,
        vat_method=cast("VatMethod", order.vat_method),
        first_day=day_of(invoice.covers_from),
        last_day=last_day_before(invoice.covers_until),
    )
