"""What we ask of a payment provider, in our words. Amounts are grosz, instants aware UTC.

Every call has three outcomes (I15): it answers (done), raises ProviderRefused or ProviderBusy (not done), or raises
ProviderUnknown (it may have been done; read back before trying for the same target again).
Creating calls carry `key`: a function of an intent row that was committed before the call (I14).
Nothing here may carry a name, an e-mail address, a pupil or a school: opaque ids only (R36, R37).
"""

from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

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


class ProviderUnknown(ProviderError):
    """Time-out, broken connection or a fault at the provider: done or not, nobody can say yet."""


class ProviderUnreadable(ProviderUnknown):
    """The provider answered in a shape we cannot read, or for another mode (F32, R62). For people to look at."""


class OpenCheckout(msgspec.Struct, frozen=True, kw_only=True):
    """A payment page to open. `reference` is the intent's opaque id, `order` the public order id (`ord_…`).

    `methods` are the only ones offered. `expires_at` lies 30 minutes to 24 hours ahead. `total` must be
    `unit_amount` × `quantity`; the answer is checked against it (I16).
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
    that a delayed payment (BLIK, P24) was refused after the page was completed."""

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


@runtime_checkable
class Gateway(Protocol):
    """The wall. Never call it with a database transaction open."""

    @property
    def livemode(self) -> bool:
        """Whether real money moves here (R62)."""
        ...

    async def open_checkout(self, wanted: OpenCheckout) -> Checkout:
        """Open a payment page; the same key gives the same page."""
        ...

    async def read_checkout(self, session_id: str) -> Checkout:
        """The page as it stands, with its payment if there is one. Raises ProviderMissing."""
        ...

    async def find_checkout(self, reference: str, since: datetime) -> Checkout | None:
        """The page opened under `reference` at `since` or later; None only when there surely is none."""
        ...

    async def expire_checkout(self, session_id: str, key: str) -> Checkout:
        """Close an open page; one that is complete or expired already is answered as it stands."""
        ...

    async def refund(self, wanted: OpenRefund) -> RefundFacts:
        """Give money back; the same key gives the same refund."""
        ...

    async def read_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it stands. Raises ProviderMissing."""
        ...

    async def find_refund(self, payment_id: str, reference: str) -> RefundFacts | None:
        """The refund of that payment made under `reference`; None only when there surely is none."""
        ...

    async def read_payment(self, payment_id: str) -> PaymentFacts | None:
        """The captured money of a payment; None while nothing is captured. Raises ProviderMissing."""
        ...

    async def read_dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute as it stands. Raises ProviderMissing."""
        ...

    async def checkout_of(self, payment_id: str) -> Checkout | None:
        """The payment page a payment came from, if it came from one."""
        ...

    async def list_events(
        self, since: datetime, types: tuple[str, ...] = (), *, undelivered: bool = False
    ) -> tuple[EventFacts, ...]:
        """Events created at `since` or later, oldest first, at most 30 days back; all of them, or only those that no
        delivery has been acknowledged for."""
        ...

    async def find_product(self, product: str) -> ProductFacts | None:
        """The product of that id in the provider's catalogue."""
        ...

    async def find_price(self, lookup_key: str) -> PriceFacts | None:
        """The price of that lookup key in the provider's catalogue."""
        ...

    async def put_product(self, product: ProductFacts, key: str) -> None:
        """Make the product, or bring its name and state to what is given."""
        ...

    async def put_price(self, price: PriceFacts, key: str) -> None:
        """Make the price; amounts of a price never change."""
        ...

    async def account(self) -> AccountFacts:
        """What the key opens, read with the key itself. Raises ProviderRefused for a bad key."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...
