"""What the provider has, beside what we have: typed differences with their cause, and what may be done. Pure.

Money that was paid for an order of ours and did not arrive here is a grant, which is made at once; so is news that our
own sweeps wait for anyway. Everything else may take something from somebody, so it is a proposal that a person applies
with a reason. A page that nobody paid is nothing at all; what is not ours is kept apart.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from billing.checkout.values import KnownOrder
from billing.kernel.errors import Conflict
from billing.payments.gateway_books import BookedCharge, BookedPage, BookedRefund
from billing.payments.rules import FINAL, UNSETTLED
from billing.payments.values import KnownRefund
from billing.reconciliation.values import Comparison, Finding, Kind, Ours, Proposal, Theirs
from billing.withdrawals.dispute_rules import state_of, takes_money

AT_ONCE: Final[frozenset[Proposal]] = frozenset({"grant", "catch_up"})
APPLICABLE: Final[frozenset[Proposal]] = frozenset({"take_on_refund", "take_on_dispute"})

GRACE: Final = timedelta(minutes=15)
"""How young a thing may be at the provider while nobody wonders: the event about it is on its way."""

RECENT: Final = timedelta(days=3)
LONG: Final = timedelta(days=35)
OVERLAP: Final = timedelta(days=1)

_ENDED_THERE: Final = FINAL | {"succeeded"}
_OUR_ORDER: Final = "ord_"


class NotApplicable(Conflict):
    """Nothing can be done about this finding by a click; it can only be explained."""

    code = "not_an_outcome"


def compare(theirs: Theirs, ours: Ours, *, seen_until: datetime) -> Comparison:
    """All differences, each once; what people must decide only where it is older than `seen_until`."""
    found = [*_pages(theirs, ours), *_charges(theirs, ours), *_missing_payments(theirs, ours)]
    found += [*_refunds(theirs, ours), *_missing_refunds(theirs, ours), *_disputes(theirs, ours)]
    found += _unheard_sums(theirs, ours)
    ripe = {each.about: each for each in found if each.proposal in AT_ONCE or each.at < seen_until}
    expected = {each.payment_id for each in ours.expected_payments}
    expected |= {each.provider_id or each.refund for each in ours.expected_refunds}
    looked_at = {page.session_id for page in theirs.pages} | theirs.payments | expected
    looked_at |= {each.refund_id for each in theirs.refunds} | {each.dispute_id for each in theirs.disputes}
    return Comparison(
        findings=tuple(sorted(ripe.values(), key=lambda each: (each.at, each.about))),
        foreign=tuple(_foreign(theirs, ours)),
        abandoned=sum(_is_abandoned(page) and ours.order_of(page) is not None for page in theirs.pages),
        looked_at=frozenset(looked_at),
    )


def _is_abandoned(page: BookedPage) -> bool:
    return page.status in {"open", "expired"} and page.payment_status == "unpaid"


def _pages(theirs: Theirs, ours: Ours) -> Iterator[Finding]:
    """Pages of ours that say more than the order does."""
    charged = {charge.payment_id: charge for charge in theirs.charges}
    for page in theirs.pages:
        order = ours.order_of(page)
        if order is None:
            continue
        if page.payment_status == "paid":
            yield from _paid_page(page, order, charged.get(page.payment_id), ours)
        elif _has_moved_on(page, order):
            yield Finding(
                kind="page_moved_on", cause="missed_event", severity="medium", proposal="catch_up",
                subject=page.session_id, order=order.order, account=order.account, here=order.state,
                there=page.status, at=page.created_at,
            )  # fmt: skip


def _paid_page(page: BookedPage, order: KnownOrder, charge: BookedCharge | None, ours: Ours) -> Iterator[Finding]:
    """Paid there. Here as well, or for another amount than was accepted, or a grant that is owed (I12)."""
    if ours.payment_of(page.payment_id, None) or (page.payment_id is None and order.is_paid):
        return
    paid = page.amount if charge is None else charge.amount
    is_right = (paid, page.currency) == (order.total, order.currency)
    yield Finding(
        kind="paid_not_here" if is_right else "amount_differs",
        cause="missed_event" if is_right else "amount_differs",
        severity="high" if is_right else "critical",
        proposal="grant" if is_right else "look",
        subject=page.payment_id or page.session_id,
        order=order.order, account=order.account, here=order.state if is_right else order.total, there=paid,
        at=page.created_at if charge is None else charge.created_at,
    )  # fmt: skip


def _has_moved_on(page: BookedPage, order: KnownOrder) -> bool:
    """The bank has said no, or is being waited for, or the page has run out, and the order does not know."""
    if order.session_id != page.session_id or order.is_paid:
        return False
    if page.status == "complete":
        return order.state == "incomplete" or (order.state == "pending" and page.payment_failed)
    return page.status == "expired" and order.is_page_open


def _charges(theirs: Theirs, ours: Ours) -> Iterator[Finding]:
    """Money taken there, without a page that explains it: known here to the grosz, or not."""
    of_pages = _on_pages(theirs, ours)
    for charge in theirs.charges:
        known = ours.payment_of(charge.payment_id, charge.charge_id)
        name = charge.payment_id or charge.charge_id
        if known is not None and (charge.amount, charge.currency) != (known.amount, known.currency):
            yield Finding(
                kind="amount_differs", cause="amount_differs", severity="critical", proposal="look", subject=name,
                order=known.order, account=_account(ours, known.order), here=known.amount, there=charge.amount,
                at=charge.created_at,
            )  # fmt: skip
        elif known is None and charge.payment_id not in of_pages and is_marked(charge.order):
            yield _unexplained(charge, ours.orders.get(charge.order or ""))
        elif known is None and charge.payment_id not in of_pages and charge.customer in ours.renewals:
            yield _unheard_renewal(charge, ours)


def _on_pages(theirs: Theirs, ours: Ours) -> set[str | None]:
    """The payments that payment pages of ours explain."""
    return {page.payment_id for page in theirs.pages if ours.order_of(page) is not None}


def _unheard_renewal(charge: BookedCharge, ours: Ours) -> Finding:
    """A renewing subscription of ours was charged: what for, the subscription itself must tell."""
    order, subscription = ours.renewals[charge.customer or ""]
    return Finding(
        kind="paid_not_here", cause="missed_event", severity="high", proposal="grant", subject=subscription,
        order=order, account=_account(ours, order), there=charge.amount, at=charge.created_at,
    )  # fmt: skip


def _unexplained(charge: BookedCharge, order: KnownOrder | None) -> Finding:
    """Money that carries our mark: for an order of ours whose page was made long before, or for one we do not have."""
    is_right = order is not None and (charge.amount, charge.currency) == (order.total, order.currency)
    kind: Kind = "unknown_here" if order is None else "paid_not_here" if is_right else "amount_differs"
    return Finding(
        kind=kind, cause="lost_here" if order is None else "missed_event" if is_right else "amount_differs",
        severity="high" if is_right else "critical", proposal="grant" if is_right else "look",
        subject=charge.payment_id or charge.charge_id, order=charge.order,
        account=None if order is None else order.account,
        here=None if order is None else order.state if is_right else order.total,
        there=charge.amount, at=charge.created_at,
    )  # fmt: skip


def is_marked(order: str | None) -> bool:
    """Whether something carries the mark that we leave on what we ask for."""
    return order is not None and order.startswith(_OUR_ORDER)


def _missing_payments(theirs: Theirs, ours: Ours) -> Iterator[Finding]:
    """Money we hold to have been taken, of which the provider knows nothing."""
    there = {name for charge in theirs.charges for name in (charge.payment_id, charge.charge_id)}
    for known in ours.expected_payments:
        if known.payment_id not in there and known.charge_id not in there:
            yield Finding(
                kind="missing_there", cause="gone_there", severity="critical", proposal="look",
                subject=known.payment_id, order=known.order, account=_account(ours, known.order), here=known.amount,
                at=known.captured_at,
            )  # fmt: skip


def _refunds(theirs: Theirs, ours: Ours) -> Iterator[Finding]:
    """Money that goes back there: known here and alike, or made by somebody's hand."""
    for refund in theirs.refunds:
        payment = ours.payment_of(refund.payment_id, refund.charge_id)
        known = _refund_of(refund, ours)
        if payment is None:
            continue
        if known is not None:
            yield from _known_refund(refund, known, ours)
        elif refund.state not in FINAL:
            yield Finding(
                kind="refund_made_there", cause="manual_change_at_stripe",
                severity="high" if payment.order in ours.in_force else "medium", proposal="take_on_refund",
                subject=refund.refund_id, order=payment.order, account=_account(ours, payment.order),
                there=refund.amount, at=refund.created_at,
            )  # fmt: skip


def _known_refund(refund: BookedRefund, known: KnownRefund, ours: Ours) -> Iterator[Finding]:
    """A refund of ours: waiting for news is our own sweep's business, and is caught up; all else is for people."""
    there = refund.state if refund.state in _ENDED_THERE else "pending"
    if refund.amount != known.amount:
        yield _refund_finding(refund, known, ours, "amount_differs", known.amount, refund.amount)
    elif known.state in UNSETTLED and there in _ENDED_THERE:
        yield _refund_finding(refund, known, ours, "refund_moved_on", known.state, there)
    elif known.state not in UNSETTLED and (known.state == "succeeded") != (there == "succeeded"):
        yield _refund_finding(refund, known, ours, "refund_differs", known.state, there)


def _refund_finding(
    refund: BookedRefund, known: KnownRefund, ours: Ours, kind: Kind, here: int | str, there: int | str
) -> Finding:
    proposals: dict[Kind, Proposal] = {"refund_moved_on": "catch_up", "refund_differs": "take_on_refund"}
    return Finding(
        kind=kind, cause="amount_differs" if kind == "amount_differs" else "missed_event",
        severity="medium" if kind == "refund_moved_on" else "high", proposal=proposals.get(kind, "look"),
        subject=refund.refund_id, order=known.order, account=_account(ours, known.order), here=here, there=there,
        at=refund.created_at,
    )  # fmt: skip


def _missing_refunds(theirs: Theirs, ours: Ours) -> Iterator[Finding]:
    """Refunds we hold to have been made, of which the provider knows nothing."""
    there = {refund.refund_id for refund in theirs.refunds}
    for known in ours.expected_refunds:
        if known.provider_id not in there and known.state in {"succeeded", "pending"}:
            yield Finding(
                kind="missing_there", cause="gone_there", severity="critical", proposal="look",
                subject=known.provider_id or known.refund, order=known.order, account=_account(ours, known.order),
                here=known.amount, at=known.created_at,
            )  # fmt: skip


def _unheard_sums(theirs: Theirs, ours: Ours) -> Iterator[Finding]:
    """Refunds that we know one by one, while the payment has not heard that so much of it went back."""
    back: Counter[str] = Counter()
    for refund in theirs.refunds:
        payment = ours.payment_of(refund.payment_id, refund.charge_id)
        if payment is not None and refund.state not in FINAL and _refund_of(refund, ours) is not None:
            back[payment.payment_id] += refund.amount
    for name, amount in back.items():
        known = ours.payments[name]
        if known.amount_refunded < amount:
            yield Finding(
                kind="refund_moved_on", cause="missed_event", severity="medium", proposal="catch_up", subject=name,
                order=known.order, account=_account(ours, known.order), here=known.amount_refunded, there=amount,
                at=known.captured_at,
            )  # fmt: skip


def _refund_of(refund: BookedRefund, ours: Ours) -> KnownRefund | None:
    return ours.refunds.get(refund.refund_id) or ours.refunds.get(refund.reference or "")


def _disputes(theirs: Theirs, ours: Ours) -> Iterator[Finding]:
    """Money that banks argue over: noticed here, and ended alike."""
    for dispute in theirs.disputes:
        payment = ours.payment_of(dispute.payment_id, dispute.charge_id)
        if payment is None:
            continue
        here = ours.disputes.get(dispute.dispute_id)
        if here is not None and _weight(here) == _weight(dispute.state):
            continue
        yield Finding(
            kind="dispute_unseen" if here is None else "dispute_differs", cause="missed_event",
            severity="critical" if state_of(dispute.state) == "lost" and payment.order in ours.in_force else "high",
            proposal="take_on_dispute", subject=dispute.dispute_id, order=payment.order,
            account=_account(ours, payment.order), here=here, there=dispute.state, at=dispute.created_at,
        )  # fmt: skip


def _weight(told: str) -> tuple[str, bool]:
    """What of the provider's word for a dispute changes anything here: its state, and whether the money is gone."""
    return state_of(told), takes_money(told)


def _foreign(theirs: Theirs, ours: Ours) -> Iterator[str]:
    """Money in the same account that is none of ours: told, and no alarm."""
    of_pages = _on_pages(theirs, ours)
    for charge in theirs.charges:
        is_known = ours.payment_of(charge.payment_id, charge.charge_id) is not None
        is_ours = is_known or charge.payment_id in of_pages or charge.customer in ours.renewals
        if not is_ours and not is_marked(charge.order):
            yield charge.charge_id


def _account(ours: Ours, order: str) -> str | None:
    known = ours.orders.get(order)
    return None if known is None else known.account
