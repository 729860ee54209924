"""What passes through the wall to a payment provider, in our words: its errors, what we ask for, and what it tells us.
Amounts are grosz, instants aware UTC. Nothing here may carry a name, an e-mail address, a pupil or a school: opaque ids
only (R36, R37).
"""

from datetime import datetime
from typing import Literal

import msgspec

from billing.kernel.errors import Unavailable

API_VERSION = "2026-10-28.endive"

RefundState = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


class ProviderError(Unavailable):
    """The provider did not do, or may not have done, what was asked."""

    code = "provider_unavailable"


class ProviderRefused(ProviderError):
    """Not done, and asking the same again will not help. `reason` is the provider's own code, `status` its HTTP one."""

    def __init__(self, detail: str, *, reason: str, status: int = 400) -> None:
        super().__init__(detail, retry_after=60, reason=reason, provider_status=status)
        self.reason = reason
        self.status = status


class ProviderMissing(ProviderRefused):
    """The provider knows no such object."""


class ProviderBusy(ProviderError):
    """Not done: too many calls, or another call holds the object. Ask again after `retry_after` seconds."""


class ProviderNotNow(ProviderBusy):
    """Not done for a cause that is ours: a key that is wrong, over or may not do this, or too small a balance. It says
    nothing of what was asked, which is asked again once people have mended that. `reason` and `provider_status` are
    among its facts."""


class ProviderUnknown(ProviderError):
    """Time-out, broken connection or a fault at the provider: done or not, nobody can say yet."""


class ListTooLong(ProviderUnknown):
    """A list has more pages than we turn in one go; ask for less of it."""


class ProviderUnreadable(ProviderUnknown):
    """The provider answered in a shape we cannot read, or for another mode (F32, R62). For people to look at."""


class OpenCheckout(msgspec.Struct, frozen=True, kw_only=True):
    """A payment page to open. `reference` is the intent's opaque id, `order` the public order id (`ord_…`).

    `methods` are the only ones offered. `expires_at` lies 30 minutes to 24 hours ahead. `total` must be
    `unit_amount` × `quantity`; the answer is checked against it (I16). With an `interval` the page begins a renewing
    subscription.
    """

    key: str
    reference: str
    order: str
    product_name: str
    unit_amount: int
    quantity: int
    total: int
    methods: tuple[str, ...]
    success_url: str
    cancel_url: str
    locale: str
    expires_at: datetime
    statement_text: str | None = None
    currency: str = "PLN"
    interval: Literal["month", "year"] | None = None


class PaymentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One captured payment. `payment_id` is the provider's id of it (`pi_…`)."""

    payment_id: str
    charge_id: str
    amount: int
    amount_refunded: int
    currency: str
    method: str
    captured_at: datetime
    livemode: bool
    disputed: bool = False
    receipt_url: str | None = None


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A payment page as it stands now. Money is confirmed only by `payment_status` paid (R53); `payment_failed` says
    that a delayed payment (BLIK, P24) was refused after the page was completed; `subscription_id` names what a page
    for a renewing subscription has begun."""

    session_id: str
    url: str | None
    status: Literal["open", "complete", "expired"]
    payment_status: Literal["paid", "unpaid", "no_payment_required"]
    reference: str | None
    order: str | None
    amount_total: int
    currency: str
    livemode: bool
    created_at: datetime
    expires_at: datetime
    payment: PaymentFacts | None = None
    payment_failed: bool = False
    subscription_id: str | None = None


class OpenRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund to make. `reference` is our public refund id (`ref_…`)."""

    key: str
    reference: str
    payment_id: str
    amount: int
    order: str


class RefundFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it stands now; it may fail after it looked fine (R76)."""

    refund_id: str
    state: RefundState
    payment_id: str | None
    charge_id: str | None
    amount: int
    currency: str
    reference: str | None
    created_at: datetime
    fault: str | None = None


class DisputeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute as it stands now; `state` is the provider's word (needs_response, under_review, won, lost, …)."""

    dispute_id: str
    state: str
    payment_id: str | None
    charge_id: str | None
    amount: int
    currency: str
    reason: str
    created_at: datetime


class EventFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the provider's list; `body` is the event as JSON, as a webhook would carry it."""

    event_id: str
    type: str
    created_at: datetime
    body: bytes


class PriceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A price in the provider's own catalogue, found again by `lookup_key`."""

    lookup_key: str
    product: str
    unit_amount: int
    currency: str
    active: bool = True
    interval: Literal["month", "year"] | None = None


class ProductFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A product in the provider's own catalogue."""

    product: str
    name: str
    active: bool = True


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the key opens: which mode, and that the pinned API version is spoken."""

    livemode: bool
    api_version: str
