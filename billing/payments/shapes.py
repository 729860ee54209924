"""The provider's objects as far as we read them, and what they are in our words. Pure.

Tolerant where it may be: fields that are more, or that are missing and not needed, change nothing (F32). What is needed
and missing, or a state we do not know, is a ProviderUnreadable: never a silent no-op, never a guess.
"""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from billing.payments.facts import (
    Checkout,
    DisputeFacts,
    EventFacts,
    PaymentFacts,
    PriceFacts,
    ProductFacts,
    ProviderUnreadable,
    RefundFacts,
)

T = TypeVar("T")


class _Method(msgspec.Struct, frozen=True):
    type: str


class _Booked(msgspec.Struct, frozen=True):
    created: int


class Charge(msgspec.Struct, frozen=True):
    id: str
    amount: int
    amount_refunded: int
    currency: str
    created: int
    livemode: bool
    status: str
    payment_intent: str | None = None
    captured: bool = True
    disputed: bool = False
    receipt_url: str | None = None
    payment_method_details: _Method | None = None
    balance_transaction: _Booked | str | None = None


class PaymentIntent(msgspec.Struct, frozen=True):
    id: str
    livemode: bool
    status: str
    latest_charge: Charge | str | None = None


class Session(msgspec.Struct, frozen=True):
    id: str
    livemode: bool
    created: int
    expires_at: int
    payment_status: str
    status: str | None = None
    url: str | None = None
    client_reference_id: str | None = None
    amount_total: int | None = None
    currency: str | None = None
    metadata: dict[str, str] | None = None
    payment_intent: PaymentIntent | str | None = None
    subscription: str | None = None


class Refund(msgspec.Struct, frozen=True):
    id: str
    amount: int
    currency: str
    created: int
    status: str | None = None
    payment_intent: str | None = None
    charge: str | None = None
    metadata: dict[str, str] | None = None
    failure_reason: str | None = None


class Dispute(msgspec.Struct, frozen=True):
    id: str
    amount: int
    currency: str
    created: int
    status: str
    livemode: bool
    reason: str = ""
    payment_intent: str | None = None
    charge: str | None = None


class Recurring(msgspec.Struct, frozen=True):
    interval: str
    interval_count: int = 1


class Price(msgspec.Struct, frozen=True):
    id: str
    product: str
    currency: str
    active: bool
    unit_amount: int | None = None
    lookup_key: str | None = None
    recurring: Recurring | None = None


class Product(msgspec.Struct, frozen=True):
    id: str
    name: str
    active: bool


class Listing(msgspec.Struct, frozen=True):
    data: list[dict[str, Any]]
    has_more: bool


class Named(msgspec.Struct, frozen=True):
    id: str
    client_reference_id: str | None = None


class Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    created: int


def read(raw: dict[str, Any], shape: type[T]) -> T:
    """The object as `shape`. Raises ProviderUnreadable naming the field, never its value."""
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as fault:
        raise unreadable(f"{shape.__name__}: {fault}") from None


def checkout(raw: dict[str, Any], *, livemode: bool) -> Checkout:
    """A payment page, with its payment where the provider sent it along."""
    found = read(raw, Session)
    check_mode(found.livemode, livemode)
    payment = payment_of(found.payment_intent, livemode=livemode)
    return translated(
        {
            "session_id": found.id,
            "url": found.url,
            "status": found.status,
            "payment_status": found.payment_status,
            "reference": found.client_reference_id,
            "order": mark(found.metadata, "order"),
            "amount_total": found.amount_total,
            "currency": (found.currency or "").upper(),
            "livemode": found.livemode,
            "created_at": instant(found.created),
            "expires_at": instant(found.expires_at),
            "payment": payment,
            "payment_failed": payment is None and has_failed(found),
            "subscription_id": found.subscription,
        },
        Checkout,
    )


def payment_of(intent: PaymentIntent | str | None, *, livemode: bool) -> PaymentFacts | None:
    """The captured money of a payment intent; None while there is none, or where it was not sent along."""
    if not isinstance(intent, PaymentIntent) or not isinstance(intent.latest_charge, Charge):
        return None
    check_mode(intent.livemode, livemode)
    charge = intent.latest_charge
    if charge.status != "succeeded" or not charge.captured:
        return None
    return PaymentFacts(
        payment_id=intent.id,
        charge_id=charge.id,
        amount=charge.amount,
        amount_refunded=charge.amount_refunded,
        currency=charge.currency.upper(),
        method=charge.payment_method_details.type if charge.payment_method_details else "unknown",
        captured_at=instant(_came_at(charge)),
        livemode=charge.livemode,
        disputed=charge.disputed,
        receipt_url=charge.receipt_url,
    )


def _came_at(charge: Charge) -> int:
    """When the money came: a charge is made when the buyer is sent to the bank, which may say yes days later (BLIK,
    P24); its money is booked when it came (R53, R104). Not booked yet, it came as the charge was made, as a card's."""
    return charge.balance_transaction.created if isinstance(charge.balance_transaction, _Booked) else charge.created


def has_failed(page: Session) -> bool:
    """A payment that was begun and refused waits for another method; a completed page offers none (R53)."""
    intent = page.payment_intent
    is_refused = isinstance(intent, PaymentIntent) and intent.status in {"requires_payment_method", "canceled"}
    return page.status == "complete" and is_refused


def refund(raw: dict[str, Any]) -> RefundFacts:
    """A refund; `reference` is our own id of it."""
    found = read(raw, Refund)
    return translated(
        {
            "refund_id": found.id,
            "state": found.status,
            "payment_id": found.payment_intent,
            "charge_id": found.charge,
            "amount": found.amount,
            "currency": found.currency.upper(),
            "reference": mark(found.metadata, "refund"),
            "created_at": instant(found.created),
            "fault": found.failure_reason,
        },
        RefundFacts,
    )


def dispute(raw: dict[str, Any], *, livemode: bool) -> DisputeFacts:
    """A dispute; its state stays the provider's word."""
    found = read(raw, Dispute)
    check_mode(found.livemode, livemode)
    return DisputeFacts(
        dispute_id=found.id,
        state=found.status,
        payment_id=found.payment_intent,
        charge_id=found.charge,
        amount=found.amount,
        currency=found.currency.upper(),
        reason=found.reason,
        created_at=instant(found.created),
    )


def price(raw: dict[str, Any]) -> PriceFacts:
    """A price of the provider's catalogue."""
    found = read(raw, Price)
    return translated(
        {
            "lookup_key": found.lookup_key,
            "product": found.product,
            "unit_amount": found.unit_amount,
            "currency": found.currency.upper(),
            "active": found.active,
            "interval": found.recurring.interval if found.recurring else None,
        },
        PriceFacts,
    )


def product(raw: dict[str, Any]) -> ProductFacts:
    """A product of the provider's catalogue."""
    found = read(raw, Product)
    return ProductFacts(product=found.id, name=found.name, active=found.active)


def event(raw: dict[str, Any]) -> EventFacts:
    """An event of the provider's list, as a webhook would carry it."""
    found = read(raw, Event)
    return EventFacts(
        event_id=found.id, type=found.type, created_at=instant(found.created), body=msgspec.json.encode(raw)
    )


def translated(facts: dict[str, Any], into: type[T]) -> T:
    """Facts as one of our structs; a state we do not know is unreadable."""
    try:
        return msgspec.convert(facts, into)
    except msgspec.ValidationError as fault:
        raise unreadable(f"{into.__name__}: {fault}") from None


def check_mode(found: bool, expected: bool) -> None:  # noqa: FBT001 - both are the same kind of thing
    """Live and test never mix (R62). Raises ProviderUnreadable."""
    if found is not expected:
        raise unreadable(f"livemode is {found}")


def mark(metadata: dict[str, str] | None, name: str) -> str | None:
    """What stands under a name among the marks of an object: ours, if we made it; anybody could copy it (S12)."""
    return (metadata or {}).get(name)


def instant(seconds: int) -> datetime:
    """Seconds since 1970 as an instant; what is beyond the calendar is unreadable."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise unreadable("an instant beyond the calendar") from None


def unreadable(why: str) -> ProviderUnreadable:
    """The error for an answer we cannot use."""
    return ProviderUnreadable("The payment provider's answer cannot be read.", why=why)
