"""The provider's subscriptions and invoices as far as we read them, and what they are in our words. Pure.

Tolerant and strict as `shapes.py` is: the period stands on the item, the subscription of an invoice under its parent.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from billing.payments import shapes
from billing.payments.facts import PaymentFacts
from billing.payments.gateway_renewals import (
    ForeignSubscription,
    InvoiceFacts,
    MandateFacts,
    Preview,
    SubscriptionFacts,
)


class _Price(msgspec.Struct, frozen=True):
    product: str
    currency: str
    unit_amount: int
    recurring: shapes.Recurring


class _Item(msgspec.Struct, frozen=True):
    id: str
    current_period_start: int
    current_period_end: int
    quantity: int
    price: _Price


class _Items(msgspec.Struct, frozen=True):
    data: list[_Item]


class _Details(msgspec.Struct, frozen=True):
    reason: str | None = None


class _Bare(msgspec.Struct, frozen=True):
    metadata: dict[str, str] = {}


class _Subscription(msgspec.Struct, frozen=True):
    id: str
    livemode: bool
    status: str
    customer: str
    items: _Items
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    ended_at: int | None = None
    pause_collection: dict[str, Any] | None = None
    default_payment_method: str | None = None
    cancellation_details: _Details | None = None
    metadata: dict[str, str] | None = None


class _Period(msgspec.Struct, frozen=True):
    start: int
    end: int


class _Line(msgspec.Struct, frozen=True):
    amount: int
    period: _Period
    quantity: int | None = None


class _Lines(msgspec.Struct, frozen=True):
    data: list[_Line]
    has_more: bool = False


class _SubscriptionDetails(msgspec.Struct, frozen=True):
    subscription: str | None = None


class _Parent(msgspec.Struct, frozen=True):
    subscription_details: _SubscriptionDetails | None = None


class _Paid(msgspec.Struct, frozen=True):
    payment_intent: str | None = None


class _InvoicePayment(msgspec.Struct, frozen=True):
    status: str
    payment: _Paid


class _InvoicePayments(msgspec.Struct, frozen=True):
    data: list[_InvoicePayment]


class _Invoice(msgspec.Struct, frozen=True):
    id: str
    livemode: bool
    status: str
    created: int
    total: int
    currency: str
    lines: _Lines
    attempt_count: int = 0
    next_payment_attempt: int | None = None
    billing_reason: str | None = None
    parent: _Parent | None = None
    payments: _InvoicePayments | None = None


class _Preview(msgspec.Struct, frozen=True):
    total: int
    currency: str


class _Mandate(msgspec.Struct, frozen=True):
    id: str
    livemode: bool
    status: str
    payment_method: str | None = None


def subscription(raw: dict[str, Any], *, livemode: bool) -> SubscriptionFacts:
    """A subscription of one item, its invoices aside; ours with several items, or of several intervals at once, cannot
    be read."""
    if not shapes.read(raw, _Bare).metadata.get("order"):
        raise ForeignSubscription("The subscription names no order of ours.")
    found = shapes.read(raw, _Subscription)
    shapes.check_mode(found.livemode, livemode)
    if len(found.items.data) != 1 or found.items.data[0].price.recurring.interval_count != 1:
        raise shapes.unreadable("a subscription of more than one item or interval")
    item = found.items.data[0]
    return shapes.translated(
        {
            "subscription_id": found.id,
            "order": shapes.mark(found.metadata, "order"),
            "standing": found.status,
            "customer_id": found.customer,
            "item_id": item.id,
            "provider_product": item.price.product,
            "method_id": found.default_payment_method,
            "unit_amount": item.price.unit_amount,
            "currency": item.price.currency.upper(),
            "interval": item.price.recurring.interval,
            "quantity": item.quantity,
            "period_start": shapes.instant(item.current_period_start),
            "period_end": shapes.instant(item.current_period_end),
            "ends": found.cancel_at_period_end or found.cancel_at is not None,
            "is_paused": found.pause_collection is not None,
            "ended_at": _instant(found.ended_at),
            "ended_reason": found.cancellation_details.reason if found.cancellation_details else None,
            "livemode": found.livemode,
        },
        SubscriptionFacts,
    )


def invoice(raw: dict[str, Any], money: Mapping[str, PaymentFacts], *, livemode: bool) -> InvoiceFacts:
    """An invoice with its money, found in `money` by the id of its payment. What it covers are the periods of what is
    charged; what is credited says nothing of the future."""
    found = shapes.read(raw, _Invoice)
    shapes.check_mode(found.livemode, livemode)
    charged = [line for line in found.lines.data if line.amount > 0] or found.lines.data
    if not charged or found.lines.has_more:
        raise shapes.unreadable("an invoice without lines, or with more than one page of them")
    intents = [paid.payment.payment_intent for paid in found.payments.data] if found.payments else []
    last = max(charged, key=lambda line: (line.period.end, line.period.start))
    return shapes.translated(
        {
            "invoice_id": found.id,
            "state": found.status,
            "reason": found.billing_reason or "",
            "amount": found.total,
            "currency": found.currency.upper(),
            "quantity": last.quantity or 1,
            "covers_from": shapes.instant(last.period.start),
            "covers_until": shapes.instant(last.period.end),
            "attempts": found.attempt_count,
            "next_attempt_at": _instant(found.next_payment_attempt),
            "made_at": shapes.instant(found.created),
            "payment": next((money[intent] for intent in intents if intent is not None and intent in money), None),
        },
        InvoiceFacts,
    )


def subscription_of(raw: dict[str, Any]) -> str | None:
    """The subscription an invoice is of."""
    parent = shapes.read(raw, _Invoice).parent
    return parent.subscription_details.subscription if parent and parent.subscription_details else None


def preview(raw: dict[str, Any]) -> Preview:
    """What an invoice that is not made would ask for."""
    found = shapes.read(raw, _Preview)
    return Preview(amount=found.total, currency=found.currency.upper())


def mandate(raw: dict[str, Any], *, livemode: bool) -> MandateFacts:
    """A mandate; one whose state we do not know counts as active, so that nothing is ended on a guess."""
    found = shapes.read(raw, _Mandate)
    shapes.check_mode(found.livemode, livemode)
    return MandateFacts(mandate_id=found.id, method_id=found.payment_method, is_active=found.status != "inactive")


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else shapes.instant(seconds)
