"""What the provider says of a refund becomes its state, its line in the books, a right that ends, a case for people: in
one transaction (R75, R76, R78, I01)."""

from datetime import datetime
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import service as checkout
from billing.kernel import outbox
from billing.kernel.days import end_of
from billing.ledger import service as ledger
from billing.payments import early, refunds, refunds_by_hand
from billing.payments import service as payments
from billing.payments.facts import RefundFacts
from billing.payments.rules import FINAL, Refund
from billing.withdrawals import disputed_money, owed
from billing.withdrawals.effects import Event, apply_effect


async def apply_refund(session: AsyncSession, facts: RefundFacts, at: datetime) -> str:
    """Take on what the provider says of a refund; answers its state, or `not_ours`.

    One that somebody made at the provider by hand is taken on as ours, and a person looks at it. One of a payment that
    we do not know yet is read again when we do.
    """
    before = await refunds.standing_of(session, facts)
    if before is None:
        if not await _take_on(session, facts, at):
            await early.keep(session, "refund", facts.refund_id, facts.payment_id or facts.charge_id, at)
            return "not_ours"
        before = "new"
    told = await refunds.record_refund(session, facts, at)
    if told is None:
        return "not_ours"
    refund, has_changed = told
    if not has_changed:
        if await refunds_by_hand.is_settled_elsewhere(session, facts):
            await cases.open_case(session, "finding", refund.public_id, at, order=refund.order, cause="paid_twice")
        return refund.state
    if before == "succeeded":
        await ledger.book_refund_failed(session, refund.public_id, at)
    if refund.state == "succeeded":
        await ledger.book_refund_paid(session, refund.order, refund.public_id, refund.amount, at)
        tell_of_success(session, refund, at)
    elif refund.state in FINAL:
        await has_failed(session, refund, at)
    return refund.state


def tell_of_success(session: AsyncSession, refund: Refund, at: datetime) -> None:
    """The money is with the buyer: a refund is done only now (R76)."""
    outbox.put(session, "refund.succeeded", at, refund=refund.public_id, order=refund.order, amount=refund.amount)


async def has_failed(session: AsyncSession, refund: Refund, at: datetime) -> None:
    """The way the money came does not take it back: two people send it by a bank transfer, with the buyer's agreement.
    The case keeps the day by which the refund is due, and is opened again where it was closed before (R75). Nobody
    sends what a bank has taken for the buyer."""
    order = await checkout.read_order(session, refund.order)
    await owed.settle_what_a_bank_took(session, order, refund.payment, at)
    if (await refunds.read_refund(session, refund.id)).state == "waived":
        return
    await cases.open_case(
        session, "bank_transfer", refund.public_id, at, order=refund.order, account=order.account,
        due_at=end_of(refund.legal_due_on), reopen=True, amount=refund.amount, why=refund.fault or refund.state,
    )  # fmt: skip
    outbox.put(session, "refund.failed", at, refund=refund.public_id, order=refund.order, account=order.account)


async def end_if_all_is_back(session: AsyncSession, order: str, events: tuple[Event, Event], at: datetime) -> int:
    """A refund of an order's money ends its rights where nothing is kept any more, and leaves them where something is
    (R78): `events` are those of the whole and of a part. Answers how many rights ended."""
    whole, part = events
    is_all = await disputed_money.kept(session, order) <= 0
    return await apply_effect(session, whole if is_all else part, order, at)


async def _take_on(session: AsyncSession, facts: RefundFacts, at: datetime) -> bool:
    known = await payments.find_payment(session, facts.payment_id or facts.charge_id or "")
    if known is None:
        return False
    order = await checkout.lock_order(session, (await checkout.read_order(session, known.order)).id)
    still = await owed.settle(session, known, facts.amount, refunds_by_hand.AT_THE_PROVIDER, facts.refund_id, at)
    refund = await refunds_by_hand.take_on(session, facts, at)
    if refund is None:
        return False
    await ledger.book_refund_owed(session, refund.payment_id, refund.public_id, refund.amount, at)
    await cases.open_case(
        session, "finding", refund.public_id, at, order=refund.order, account=order.account,
        cause="refund_made_by_hand", amount=refund.amount,
    )  # fmt: skip
    events = cast("tuple[Event, Event]", ("full_refund_made_at_stripe_by_hand", "part_refund_made_at_stripe_by_hand"))
    await end_if_all_is_back(session, refund.order, events, at)
    outbox.put(session, "refund.reserved", at, order=refund.order, refund=refund.public_id, account=order.account)
    await owed.owe(session, order, known, still, at)
    return True
