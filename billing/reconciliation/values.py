"""What the provider has, what we have, and what differs. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from billing.checkout.values import KnownOrder
from billing.payments.facts import DisputeFacts
from billing.payments.gateway_books import BookedCharge, BookedPage, BookedRefund
from billing.payments.values import KnownPayment, KnownRefund

Kind = Literal[
    "paid_not_here",
    "page_moved_on",
    "refund_moved_on",
    "amount_differs",
    "unknown_here",
    "missing_there",
    "refund_made_there",
    "refund_differs",
    "dispute_unseen",
    "dispute_differs",
    "books_differ",
    "payout_differs",
]
Cause = Literal[
    "missed_event",
    "manual_change_at_stripe",
    "amount_differs",
    "foreign_object",
    "lost_here",
    "gone_there",
    "not_booked",
]
Severity = Literal["critical", "high", "medium"]
Proposal = Literal["grant", "catch_up", "take_on_refund", "take_on_dispute", "look"]


class Theirs(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider's books hold of a stretch of time, of some payments, or both."""

    pages: tuple[BookedPage, ...] = ()
    charges: tuple[BookedCharge, ...] = ()
    refunds: tuple[BookedRefund, ...] = ()
    disputes: tuple[DisputeFacts, ...] = ()

    @property
    def payments(self) -> set[str]:
        """Every payment that anything here is about, by any name."""
        about = (*self.charges, *self.refunds, *self.disputes)
        named = {each.payment_id for each in about} | {each.charge_id for each in about}
        return {name for name in (*named, *(page.payment_id for page in self.pages)) if name is not None}


class Span(NamedTuple):
    """Half open, as every span of time here."""

    since: datetime
    until: datetime


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared at once, and what of ours must all be in it: an account's money, what came in a span of time,
    what went back in one, or nothing more than it names."""

    theirs: Theirs
    account: str | None = None
    paid_in: Span | None = None
    refunded_in: Span | None = None


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What we have of the same. `payments` stand under both names of the provider's, `refunds` under the provider's and
    our own; `disputes` are the provider's last words that we heard, `renewals` the order and the
    subscription of each customer there. What is expected must all be in what the provider
    told; `in_force` are orders whose right somebody still has."""

    pages: Mapping[str, str] = {}
    orders: Mapping[str, KnownOrder] = {}
    payments: Mapping[str, KnownPayment] = {}
    refunds: Mapping[str, KnownRefund] = {}
    disputes: Mapping[str, str] = {}
    renewals: Mapping[str, tuple[str, str]] = {}
    expected_payments: tuple[KnownPayment, ...] = ()
    expected_refunds: tuple[KnownRefund, ...] = ()
    in_force: frozenset[str] = frozenset()

    def order_of(self, page: BookedPage) -> KnownOrder | None:
        """The order a page was opened for by us; its metadata proves nothing (S12)."""
        name = self.pages.get(page.session_id) or self.pages.get(page.reference or "")
        return self.orders.get(name or "")

    def payment_of(self, payment_id: str | None, charge_id: str | None) -> KnownPayment | None:
        """The payment that goes by one of these names."""
        return self.payments.get(payment_id or "") or self.payments.get(charge_id or "")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. `subject` is the provider's id of what it is about, `here` and `there` what each side says."""

    kind: Kind
    cause: Cause
    severity: Severity
    proposal: Proposal
    subject: str
    order: str | None = None
    account: str | None = None
    here: int | str | None = None
    there: int | str | None = None
    at: datetime

    @property
    def about(self) -> str:
        """What its case is about: one case for each difference, however often it is seen."""
        return f"{self.kind}:{self.subject}"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a look came to. `foreign` are the provider's names of what is not ours, `abandoned` counts pages nobody
    paid; `looked_at` are all names that were compared: a difference that is gone is told from one not looked for."""

    findings: tuple[Finding, ...]
    foreign: tuple[str, ...]
    abandoned: int
    looked_at: frozenset[str]
