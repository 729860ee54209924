"""What we ask of a payment provider, in our words. Amounts are grosz, instants aware UTC.

Every call has three outcomes (I15): it answers (done), raises ProviderRefused or ProviderBusy (not done), or raises
ProviderUnknown (it may have been done; read back before trying for the same target again). ProviderNotNow is not done
for a cause of ours, and says nothing of what was asked; a line in the log at error calls people.
Creating calls carry `key`: a function of an intent row that was committed before the call (I14).
"""

from datetime import datetime
from typing import Protocol, runtime_checkable

from billing.payments.facts import (
    AccountFacts,
    Checkout,
    DisputeFacts,
    EventFacts,
    OpenCheckout,
    OpenRefund,
    PaymentFacts,
    PriceFacts,
    ProductFacts,
    RefundFacts,
)
from billing.payments.gateway_books import Books
from billing.payments.gateway_renewals import Renewals


@runtime_checkable
class Gateway(Protocol):
    """The wall. Never call it with a database transaction open."""

    @property
    def livemode(self) -> bool:
        """Whether real money moves here (R62)."""
        ...

    @property
    def books(self) -> Books:
        """The provider's own books, to compare with ours."""
        ...

    @property
    def renewals(self) -> Renewals:
        """Renewing subscriptions."""
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
        self, since: datetime, until: datetime, types: tuple[str, ...] = (), *, undelivered: bool = False
    ) -> tuple[EventFacts, ...]:
        """Events created in [since, until), oldest first, at most 30 days back; all of them, or only those that no
        delivery has been acknowledged for. Raises ListTooLong."""
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
        """What the key opens, read with the key itself. Raises ProviderNotNow for a bad one."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...
