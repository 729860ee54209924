"""What the provider says of a refund becomes its state, its line in the books, a right that ends, a case for people: in
one transaction (R75, R76, R78, I01)."""

from datetime import datetime
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import service as checkout
from billing.checkout.fulfilment import give_back
from billing.kernel import outbox
from billing.kernel.days import end_of
from billing.ledger import service as ledger
from billing.payments import early, refunds, refunds_by_hand
from billing.payments import service as payments
from billing.payments.facts import RefundFacts
from billing.payments.rules import FINAL, Payment, Refund
from billing.withdrawals import disputed_money
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
    The case keeps the day by which the refund is due, and is opened again where it was closed before (R75)."""
    order = await checkout.read_order(session, refund.order)
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
    owed = await _settle_owed(session, known, facts, at)
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
    for former, rest in owed:
        await give_back(
            session, order, known, rest, former.reason, at,
            approved_by=former.approved_by, is_told_otherwise=True, scope=former.public_id,
        )  # fmt: skip
    return True


async def _settle_owed(
    session: AsyncSession, payment: Payment, facts: RefundFacts, at: datetime
) -> list[tuple[Refund, int]]:
    """Whoever gives money back by hand has seen that ours did not go: what was owed of the payment is settled by it
    first, so that nobody is paid twice. Answers what stays owed of which refund, in grosz."""
    left, owed = facts.amount, list[tuple[Refund, int]]()
    for refund in await refunds.refunds_of(session, payment.order):
        if refund.payment != payment.id or refund.state not in FINAL or left <= 0:
            continue
        actor = refunds_by_hand.AT_THE_PROVIDER
        await refunds_by_hand.end_by_hand(session, refund.id, "waived", actor, facts.refund_id, at)
        await ledger.book_refund_waived(session, refund.public_id, at)
        await cases.close_about(
            session, "bank_transfer", refund.public_id, "dismissed", at, facts.refund_id, actor=actor
        )
        if refund.amount > left:
            owed.append((refund, refund.amount - left))
        left -= refund.amount
    return owed
