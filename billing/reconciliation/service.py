"""Our side of a comparison, and what is written down of it. Calls nobody; `comparing.py` alternates."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import history as orders
from billing.checkout.fulfilment import apply_checkout
from billing.checkout.renewing import apply_subscription
from billing.kernel import audit
from billing.payments import history as payments
from billing.payments.facts import Checkout, DisputeFacts, PaymentFacts, RefundFacts
from billing.payments.gateway_renewals import SubscriptionFacts
from billing.payments.service import find_payment, record_payment
from billing.payments.values import KnownPayment, KnownRefund
from billing.reconciliation.rules import APPLICABLE, NotApplicable
from billing.reconciliation.values import Finding, Ours, Part, Theirs
from billing.subscriptions.history import orders_in_force, renewals_of_customers
from billing.withdrawals.disputes import apply_dispute
from billing.withdrawals.history import disputes_known
from billing.withdrawals.service import apply_refund

CASE: Final = "finding"
GONE: Final = "the difference is gone"

Facts = Checkout | PaymentFacts | RefundFacts | DisputeFacts | SubscriptionFacts


async def ours_of(session: AsyncSession, part: Part, at: datetime) -> Ours:
    """What we have of a part of the provider's books."""
    paid: list[KnownPayment] = []
    refunded: list[KnownRefund] = []
    if part.account is not None:
        named = [each.order for each in await orders.orders_of_account(session, part.account)]
        paid = await payments.payments_of_orders(session, named)
        refunded = await payments.refunds_of_orders(session, named)
    if part.paid_in is not None:
        paid = await payments.payments_captured(session, *part.paid_in)
    if part.refunded_in is not None:
        refunded = await payments.refunds_made(session, *part.refunded_in)
    return await _ours(session, part.theirs, at, paid, refunded)


async def _ours(
    session: AsyncSession,
    theirs: Theirs,
    at: datetime,
    expected_payments: Collection[KnownPayment],
    expected_refunds: Collection[KnownRefund],
) -> Ours:
    """What we have of everything the provider told, and what it should have told besides."""
    pages = await payments.pages_known(
        session,
        [page.session_id for page in theirs.pages],
        [page.reference for page in theirs.pages if page.reference is not None],
    )
    known = [*expected_payments, *await payments.payments_known(session, theirs.payments)]
    ids = [refund.refund_id for refund in theirs.refunds]
    marked = [refund.reference for refund in theirs.refunds if refund.reference is not None]
    refunds = [*expected_refunds, *await payments.refunds_known(session, ids, marked)]
    named = {*pages.values(), *(each.order for each in known), *(each.order for each in refunds)}
    named |= {charge.order for charge in theirs.charges if charge.order is not None}
    buyers = {charge.customer for charge in theirs.charges if charge.customer is not None}
    renewals = await renewals_of_customers(session, buyers)
    named |= {order for order, _ in renewals.values()}
    return Ours(
        pages=pages,
        orders={each.order: each for each in await orders.orders_known(session, named)},
        payments={name: each for each in known for name in (each.payment_id, each.charge_id)},
        refunds={name: each for each in refunds for name in (each.refund, each.provider_id) if name is not None},
        disputes=await disputes_known(session, [dispute.dispute_id for dispute in theirs.disputes]),
        renewals=renewals,
        expected_payments=tuple(expected_payments),
        expected_refunds=tuple(expected_refunds),
        in_force=frozenset(await orders_in_force(session, [each.order for each in known], at)),
    )


async def subjects_of_account(session: AsyncSession, account: str) -> tuple[list[str], list[str]]:
    """The payment pages and the payments of an account, by the provider's names."""
    named = [each.order for each in await orders.orders_of_account(session, account)]
    paid = await payments.payments_of_orders(session, named)
    return await payments.pages_of(session, named), [each.payment_id for each in paid]


async def take_on(session: AsyncSession, facts: Facts, finding: Finding, at: datetime) -> str:
    """What the provider says now, by the same road as if its event had come; a grant leaves a trace of its own."""
    if isinstance(facts, PaymentFacts):
        await record_payment(session, finding.order or "", facts, at)
        return "paid"
    if isinstance(facts, RefundFacts | DisputeFacts):
        return await apply(session, facts, at)
    is_news = await _brings_money(session, facts)
    if isinstance(facts, Checkout):
        outcome = await apply_checkout(session, facts, at)
    else:
        outcome = await apply_subscription(session, facts, at)
    if is_news and outcome != "not_ours":
        audit.record(
            session, at, "reconciliation.granted", finding.order or finding.subject, account=finding.account,
            after=outcome, reason=finding.cause, provider_id=finding.subject,
        )  # fmt: skip
    return outcome


async def _brings_money(session: AsyncSession, facts: Checkout | SubscriptionFacts) -> bool:
    """Whether a payment stands behind it that we have not heard of."""
    told = [facts.payment] if isinstance(facts, Checkout) else [invoice.payment for invoice in facts.invoices]
    known = [await find_payment(session, each.payment_id) for each in told if each is not None]
    return None in known


async def apply(session: AsyncSession, facts: RefundFacts | DisputeFacts, at: datetime) -> str:
    """A refund or a dispute as it stands at the provider becomes ours."""
    if isinstance(facts, RefundFacts):
        return await apply_refund(session, facts, at)
    return await apply_dispute(session, facts, at)


async def explained(session: AsyncSession, findings: Iterable[Finding]) -> set[str]:
    """Those of these differences which somebody has explained: they stay explained, and nobody is asked again."""
    found: set[str] = set()
    for each in findings:
        case = await cases.case_about(session, CASE, each.about)
        if case is not None and case.outcome == "explained" and case.closed_by not in {None, audit.SYSTEM}:
            found.add(each.about)
    return found


async def open_finding(session: AsyncSession, finding: Finding, at: datetime) -> bool:
    """Let a person look; answers whether that is news. What settled itself, or was applied, and differs again, is open
    again."""
    return await cases.open_case(
        session, CASE, finding.about, at, order=finding.order, account=finding.account, reopen=True,
        finding=finding.kind, cause=finding.cause, severity=finding.severity, proposal=finding.proposal,
        subject=finding.subject, here=finding.here, there=finding.there,
    )  # fmt: skip


async def subjects_waiting(session: AsyncSession) -> set[str]:
    """What the differences that wait for a person are about."""
    return {row.facts["subject"] for row in await cases.waiting_of(session, CASE) if "subject" in row.facts}


async def close_gone(session: AsyncSession, looked_at: Collection[str], still: Collection[str], at: datetime) -> int:
    """End the cases of differences that were looked for and are not there any more. Answers how many."""
    closed = 0
    for row in await cases.waiting_of(session, CASE):
        if row.facts.get("subject") in looked_at and "finding" in row.facts and row.about not in still:
            closed += await cases.close_about(session, CASE, row.about, "explained", at, GONE)
    return closed


async def proposal_of(session: AsyncSession, case: str) -> tuple[str, str]:
    """What is proposed in a finding's case, and about which object. Raises UnknownCase, NotApplicable."""
    row = await cases.find_case(session, case)
    proposal = row.facts.get("proposal")
    if row.kind != CASE or row.state == "closed" or proposal not in APPLICABLE:
        raise NotApplicable("Nothing can be done about this by itself; look, and explain it.", proposal=proposal)
    return str(proposal), str(row.facts["subject"])


async def apply_decided(
    session: AsyncSession,
    case: str,
    facts: RefundFacts | DisputeFacts,
    payment: PaymentFacts | None,
    by: str,
    reason: str,
    at: datetime,
) -> str:
    """Take on what a person decided to take on, and end its case in their name. Answers the outcome in a word."""
    row = await cases.find_case(session, case, lock=True)
    outcome = await apply(session, facts, at)
    if outcome == "not_ours":
        raise NotApplicable("The payment it is about is not known here.", subject=row.facts.get("subject"))
    if payment is not None and row.order_id is not None:
        await record_payment(session, row.order_id, payment, at)
    await cases.decide(session, row, "applied", by, reason, at)
    return outcome


async def explain_finding(session: AsyncSession, case: str, by: str, reason: str, at: datetime) -> None:
    """A person knows why it differs, and nothing is to be done; it is not brought up again."""
    row = await cases.find_case(session, case, lock=True)
    if row.kind != CASE:
        raise NotApplicable("This case is of another kind.", kind=row.kind)
    await cases.decide(session, row, "explained", by, reason, at)


async def open_findings(session: AsyncSession) -> list[Any]:
    """The cases of differences that wait for a person, oldest first."""
    return await cases.waiting_of(session, CASE)
