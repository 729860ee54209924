"""What we ask of a payment provider about renewing subscriptions, in our words. Amounts are grosz, instants aware UTC.

The three outcomes, the keys and the ban on personal data are those of `gateway.py`. A renewing subscription is begun by
a payment page (`OpenCheckout` with an interval), and only read, changed and ended here.
"""

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from billing.payments.facts import Checkout, PaymentFacts, ProviderUnreadable

Interval = Literal["month", "year"]
InvoiceState = Literal["draft", "open", "paid", "void", "uncollectible"]
Standing = Literal["incomplete", "incomplete_expired", "trialing", "active", "past_due", "canceled", "unpaid", "paused"]

OVER: frozenset[Standing] = frozenset({"canceled", "incomplete_expired", "unpaid"})
"""What the provider will not charge again by itself."""


class ForeignSubscription(ProviderUnreadable):
    """A subscription that names no order of ours: another business of the same account."""


class InvoiceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider asked for once. It covers [covers_from, covers_until) for `quantity` pupils; `payment` is the
    money captured for it."""

    invoice_id: str
    state: InvoiceState
    reason: str
    amount: int
    currency: str
    quantity: int
    covers_from: datetime
    covers_until: datetime
    attempts: int
    next_attempt_at: datetime | None
    made_at: datetime
    payment: PaymentFacts | None = None


class SubscriptionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A renewing subscription as it stands now, with its invoices, oldest first. `ends` says that it will not be
    charged for another period, `ended_at` since when it is over."""

    subscription_id: str
    order: str | None
    standing: Standing
    customer_id: str
    item_id: str
    provider_product: str
    method_id: str | None
    unit_amount: int
    currency: str
    interval: Interval
    quantity: int
    period_start: datetime
    period_end: datetime
    ends: bool
    is_paused: bool
    ended_at: datetime | None
    ended_reason: str | None
    livemode: bool
    invoices: tuple[InvoiceFacts, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the provider will never charge for it again."""
        return self.standing in OVER

    @property
    def price(self) -> "ItemPrice":
        """What it charges each interval."""
        return ItemPrice(
            item_id=self.item_id, provider_product=self.provider_product, unit_amount=self.unit_amount,
            interval=self.interval, quantity=self.quantity, currency=self.currency,
        )  # fmt: skip

    def stands_as(self, wanted: "SetRenewal | ChangeRenewal") -> bool:
        """Whether what was wanted is so."""
        if isinstance(wanted, ChangeRenewal):
            return self.price == wanted.price
        if wanted.is_over or self.is_over:
            return self.is_over
        return (
            wanted.ends in {None, self.ends}
            and wanted.is_paused in {None, self.is_paused}
            and wanted.price in {None, self.price}
        )


class MandateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A bank's standing permission to charge, as BLIK knows it (R68)."""

    mandate_id: str
    method_id: str | None
    is_active: bool


class ItemPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What is charged each interval: `unit_amount` for each of `quantity` pupils."""

    item_id: str
    provider_product: str
    unit_amount: int
    interval: Interval
    quantity: int
    currency: str = "PLN"


class SetRenewal(msgspec.Struct, frozen=True, kw_only=True):
    """How a subscription shall stand from now on, with nothing charged for the change; null leaves a thing as it is.
    `ends` with its period, `is_paused`: asks for no money, `price`: of the periods to come; or it `is_over` now."""

    key: str
    reference: str
    subscription_id: str
    ends: bool | None = None
    is_paused: bool | None = None
    price: ItemPrice | None = None
    is_over: bool = False


class ChangeRenewal(msgspec.Struct, frozen=True, kw_only=True):
    """A change that is charged at once, in proportion of time as of `prorated_at`: it is done and paid, or not done.
    `amount` is what was shown for it."""

    key: str
    reference: str
    subscription_id: str
    price: ItemPrice
    prorated_at: datetime
    amount: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change would charge now, in grosz; less than nothing is a credit."""

    amount: int
    currency: str


class Renewals(Protocol):
    """The part of the wall where renewing subscriptions are. Never call it with a database transaction open."""

    async def read_subscription(self, subscription_id: str) -> SubscriptionFacts:
        """The subscription as it stands, with its invoices and their money. Raises ProviderMissing, or
        ForeignSubscription where it is none of ours."""
        ...

    async def subscription_of(self, invoice_id: str) -> str | None:
        """The subscription an invoice is of; None for an invoice of something else. Raises ProviderMissing."""
        ...

    async def page_of(self, subscription_id: str) -> Checkout | None:
        """The payment page a subscription was begun on, if it was begun on one."""
        ...

    async def set_renewal(self, wanted: SetRenewal) -> SubscriptionFacts:
        """Let the subscription stand so; the same key does it once."""
        ...

    async def preview_change(self, wanted: ChangeRenewal) -> Preview:
        """What the change would charge as of its `prorated_at`. Changes nothing."""
        ...

    async def change_renewal(self, wanted: ChangeRenewal) -> SubscriptionFacts:
        """Change and charge; the same key does it once. Raises ProviderRefused when it could not be paid."""
        ...

    async def read_mandate(self, mandate_id: str) -> MandateFacts:
        """The permission as it stands. Raises ProviderMissing."""
        ...

    async def portal(self, customer_id: str, return_url: str, locale: str, key: str) -> str:
        """The address of the provider's own page for one buyer, good for minutes. Makes nothing that lasts."""
        ...
