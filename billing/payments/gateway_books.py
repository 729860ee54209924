"""What a provider's own books say, in our words: whole lists of a stretch of time, to compare with ours.

A list that could not be read to its end raises ProviderUnknown, so that what is missing in one that ended is missing at
the provider. Amounts are grosz, instants aware UTC, `since` inclusive, `until`
exclusive. Nobody's objects but ours need be readable in full: whatever stands in the same account is told too.
"""

from collections.abc import AsyncGenerator
from datetime import date, datetime
from typing import Literal, Protocol

import msgspec

from billing.payments.facts import DisputeFacts

LineKind = Literal["charge", "refund", "dispute", "fee", "payout", "other"]


class BookedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A payment page. `payment_id` is there once somebody began to pay; `payment_failed` as in `gateway.Checkout`."""

    session_id: str
    status: str | None
    payment_status: str
    reference: str | None
    order: str | None
    amount: int | None
    currency: str
    created_at: datetime
    payment_id: str | None = None
    payment_failed: bool = False


class BookedCharge(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was taken. `order` is the mark we leave on what we ask for; anybody could copy it."""

    charge_id: str
    payment_id: str | None
    amount: int
    amount_refunded: int
    currency: str
    created_at: datetime
    order: str | None = None
    customer: str | None = None
    disputed: bool = False


class BookedRefund(msgspec.Struct, frozen=True, kw_only=True):
    """Money that goes back, or failed to; `reference` is our own id of it where we asked for it."""

    refund_id: str
    state: str
    payment_id: str | None
    charge_id: str | None
    amount: int
    currency: str
    created_at: datetime
    reference: str | None = None


class BalanceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the provider's account of our money: `net` is `amount` less `fee`; amounts are signed.

    `payment_id`, `charge_id`, `refund_id` and `order` say what it is about, as far as its source tells.
    """

    line_id: str
    kind: LineKind
    category: str
    amount: int
    fee: int
    net: int
    currency: str
    created_at: datetime
    source_id: str | None = None
    payment_id: str | None = None
    charge_id: str | None = None
    order: str | None = None


class BookedPayout(msgspec.Struct, frozen=True, kw_only=True):
    """Money sent to our bank; `state` is the provider's word. Only of an automatic one can the lines be asked for."""

    payout_id: str
    amount: int
    currency: str
    state: str
    arrives_on: date
    created_at: datetime
    is_automatic: bool


class OfPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one payment."""

    charges: tuple[BookedCharge, ...]
    refunds: tuple[BookedRefund, ...]
    disputes: tuple[DisputeFacts, ...]


class Books(Protocol):
    """The provider's books, to be read only. Never read them with a database transaction open."""

    def pages(self, since: datetime, until: datetime) -> AsyncGenerator[BookedPage]:
        """Every payment page made in that time, newest first. There may be millions: they come as they are read."""
        ...

    def charges(self, since: datetime, until: datetime) -> AsyncGenerator[BookedCharge]:
        """All money taken in that time, newest first, as it is read; what was tried in vain is left out."""
        ...

    async def refunds(self, since: datetime, until: datetime) -> tuple[BookedRefund, ...]:
        """Every refund begun in that time, oldest first, as it stands now."""
        ...

    async def disputes(self, since: datetime, until: datetime) -> tuple[DisputeFacts, ...]:
        """Every dispute opened in that time, oldest first, as it stands now."""
        ...

    async def of_payment(self, payment_id: str) -> OfPayment:
        """What there is about one payment, whenever it was."""
        ...

    def balance_lines(self, since: datetime, until: datetime) -> AsyncGenerator[tuple[BalanceLine, ...]]:
        """Every movement of our money at the provider in that time, oldest first, in parts that fit in memory."""
        ...

    async def payouts(self, since: datetime, until: datetime) -> tuple[BookedPayout, ...]:
        """Every payout made in that time, oldest first."""
        ...

    async def lines_of(self, payout_id: str) -> tuple[BalanceLine, ...]:
        """What an automatic payout consists of, its own line included; oldest first."""
        ...
