"""Each kind of difference from both sides, in values only."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.checkout.values import KnownOrder
from billing.payments.facts import DisputeFacts
from billing.payments.gateway_books import BookedCharge, BookedPage, BookedRefund
from billing.payments.values import KnownPayment, KnownRefund
from billing.reconciliation.rules import compare
from billing.reconciliation.values import Ours, Theirs

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
ORDER = "ord_1"


def order(state: str = "incomplete", **more: Any) -> KnownOrder:
    given: dict[str, Any] = {"total": 4499, "currency": "PLN", "session_id": "cs_1", "is_page_open": True} | more
    return KnownOrder(order=ORDER, account="anna", state=state, **given)


def page(payment_status: str = "paid", status: str = "complete", **more: Any) -> BookedPage:
    given: dict[str, Any] = {"reference": "int_1", "order": ORDER, "amount": 4499, "payment_id": "pi_1"} | more
    return BookedPage(
        session_id="cs_1", status=status, payment_status=payment_status, currency="PLN", created_at=AT, **given
    )


def charge(**more: Any) -> BookedCharge:
    given: dict[str, Any] = {"amount": 4499, "amount_refunded": 0, "currency": "PLN", "order": ORDER} | more
    return BookedCharge(charge_id="ch_1", payment_id="pi_1", created_at=AT, **given)


def refund(state: str = "succeeded", amount: int = 4499) -> BookedRefund:
    return BookedRefund(
        refund_id="re_1", state=state, payment_id="pi_1", charge_id="ch_1", amount=amount, currency="PLN", created_at=AT
    )


def dispute(state: str) -> DisputeFacts:
    return DisputeFacts(
        dispute_id="dp_1", state=state, payment_id="pi_1", charge_id="ch_1", amount=4499, currency="PLN", reason="",
        created_at=AT,
    )  # fmt: skip


def payment(amount: int = 4499, back: int = 4499) -> KnownPayment:
    return KnownPayment(
        payment_id="pi_1", charge_id="ch_1", order=ORDER, amount=amount, currency="PLN", captured_at=AT,
        amount_refunded=back,
    )  # fmt: skip


def known(state: str = "succeeded", amount: int = 4499) -> KnownRefund:
    return KnownRefund(
        refund="ref_1", provider_id="re_1", payment_id="pi_1", order=ORDER, amount=amount, state=state, created_at=AT,
        settled_at=AT,
    )  # fmt: skip


def ours(**more: Any) -> Ours:
    given: dict[str, Any] = {"pages": {"cs_1": ORDER}, "orders": {ORDER: order()}} | more
    return Ours(**given)


PAID = {"orders": {ORDER: order("paid")}, "payments": {"pi_1": payment(), "ch_1": payment()}}
OPEN = {**PAID, "in_force": frozenset({ORDER})}
CASES: list[tuple[Theirs, Ours, list[tuple[str, str, str]]]] = [
    (Theirs(pages=(page(),)), ours(), [("paid_not_here", "high", "grant")]),
    (Theirs(pages=(page(),), charges=(charge(),)), ours(), [("paid_not_here", "high", "grant")]),
    (Theirs(pages=(page(),), charges=(charge(),)), ours(**PAID), []),
    (Theirs(pages=(page(payment_id=None),)), ours(orders={ORDER: order("paid")}), []),
    (Theirs(pages=(page(payment_id=None),)), ours(), [("paid_not_here", "high", "grant")]),
    (Theirs(pages=(page(amount=1),)), ours(), [("amount_differs", "critical", "look")]),
    (Theirs(pages=(page("unpaid", "open"),)), ours(), []),
    (Theirs(pages=(page("unpaid", "expired"),)), ours(), [("page_moved_on", "medium", "catch_up")]),
    (Theirs(pages=(page("unpaid", "expired"),)), ours(orders={ORDER: order(is_page_open=False)}), []),
    (Theirs(pages=(page("unpaid", "expired"),)), ours(orders={ORDER: order(session_id="cs_2")}), []),
    (Theirs(pages=(page("unpaid"),)), ours(), [("page_moved_on", "medium", "catch_up")]),
    (Theirs(pages=(page("unpaid"),)), ours(orders={ORDER: order("pending")}), []),
    (Theirs(pages=(page("unpaid", payment_failed=True),)), ours(orders={ORDER: order("pending")}),
     [("page_moved_on", "medium", "catch_up")]),
    (Theirs(pages=(page(),)), Ours(), []),
    (Theirs(charges=(charge(),)), ours(), [("paid_not_here", "high", "grant")]),
    (Theirs(charges=(charge(amount=1),)), ours(), [("amount_differs", "critical", "look")]),
    (Theirs(charges=(charge(),)), Ours(), [("unknown_here", "critical", "look")]),
    (Theirs(charges=(charge(order=None),)), ours(), []),
    (Theirs(charges=(charge(amount=4498),)), ours(**PAID), [("amount_differs", "critical", "look")]),
    (Theirs(charges=(charge(currency="EUR"),)), ours(**PAID), [("amount_differs", "critical", "look")]),
    (Theirs(), ours(expected_payments=(payment(),)), [("missing_there", "critical", "look")]),
    (Theirs(pages=(page(),)), ours(**PAID, expected_payments=(payment(),)), [("missing_there", "critical", "look")]),
    (Theirs(refunds=(refund(),)), ours(**OPEN), [("refund_made_there", "high", "take_on_refund")]),
    (Theirs(refunds=(refund(),)), ours(**PAID), [("refund_made_there", "medium", "take_on_refund")]),
    (Theirs(refunds=(refund("failed"),)), ours(**OPEN), []),
    (Theirs(refunds=(refund(),)), ours(), []),
    (Theirs(refunds=(refund(),)), ours(**OPEN, refunds={"re_1": known()}), []),
    (Theirs(refunds=(refund(),)), ours(**OPEN, refunds={"re_1": known("pending")}),
     [("refund_moved_on", "medium", "catch_up")]),
    (Theirs(refunds=(refund("requires_action"),)), ours(**OPEN, refunds={"re_1": known("pending")}), []),
    (Theirs(refunds=(refund("failed"),)), ours(**OPEN, refunds={"re_1": known()}),
     [("refund_differs", "high", "take_on_refund")]),
    (Theirs(refunds=(refund(),)), ours(**OPEN, refunds={"re_1": known("failed")}),
     [("refund_differs", "high", "take_on_refund")]),
    (Theirs(refunds=(refund("failed"),)), ours(**OPEN, refunds={"re_1": known("sent_by_bank")}), []),
    (Theirs(refunds=(refund(amount=1),)), ours(**OPEN, refunds={"re_1": known()}),
     [("amount_differs", "high", "look")]),
    (Theirs(), ours(expected_refunds=(known(),)), [("missing_there", "critical", "look")]),
    (Theirs(), ours(expected_refunds=(known("failed"),)), []),
    (Theirs(disputes=(dispute("needs_response"),)), ours(**OPEN), [("dispute_unseen", "high", "take_on_dispute")]),
    (Theirs(disputes=(dispute("lost"),)), ours(**OPEN), [("dispute_unseen", "critical", "take_on_dispute")]),
    (Theirs(disputes=(dispute("lost"),)), ours(**PAID), [("dispute_unseen", "high", "take_on_dispute")]),
    (Theirs(disputes=(dispute("under_review"),)), ours(**OPEN, disputes={"dp_1": "needs_response"}), []),
    (Theirs(disputes=(dispute("won"),)), ours(**OPEN, disputes={"dp_1": "under_review"}),
     [("dispute_differs", "high", "take_on_dispute")]),
    (Theirs(disputes=(dispute("needs_response"),)), ours(**OPEN, disputes={"dp_1": "warning_needs_response"}),
     [("dispute_differs", "high", "take_on_dispute")]),
    (Theirs(disputes=(dispute("lost"),)), ours(), []),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "mine", "wanted"), CASES)
def test_a_difference_has_its_kind_its_severity_and_its_proposal(
    theirs: Theirs, mine: Ours, wanted: list[tuple[str, str, str]]
) -> None:
    found = compare(theirs, mine, seen_until=AT + timedelta(seconds=1))
    assert [(each.kind, each.severity, each.proposal) for each in found.findings] == wanted
    young = compare(theirs, mine, seen_until=AT)
    assert [each.kind for each in young.findings] == [
        kind for kind, _, proposal in wanted if proposal in {"grant", "catch_up"}
    ], "what people must decide may wait for its event, what is paid never waits"


def test_a_payment_learns_how_much_of_it_went_back() -> None:
    mine = ours(orders={ORDER: order("paid")}, payments={"pi_1": payment(back=0)}, refunds={"re_1": known()})
    (found,) = compare(Theirs(refunds=(refund(),)), mine, seen_until=AT).findings
    assert (found.kind, found.subject, found.proposal, found.there) == ("refund_moved_on", "pi_1", "catch_up", 4499)


def test_what_is_foreign_and_what_was_left_lying_is_counted_and_no_finding() -> None:
    theirs = Theirs(pages=(page("unpaid", "open"),), charges=(charge(order=None),))
    found = compare(theirs, ours(), seen_until=AT + timedelta(days=1))
    assert (found.findings, found.foreign, found.abandoned) == ((), (), 1), "the page's own charge"
    found = compare(Theirs(charges=(charge(order=None),)), Ours(), seen_until=AT + timedelta(days=1))
    assert (found.findings, found.foreign, found.abandoned) == ((), ("ch_1",), 0)
