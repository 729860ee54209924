"""Payments and refunds as far as comparing them with the provider's books needs. Pure."""

from datetime import datetime

import msgspec


class KnownPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Money we hold to have been captured, in grosz."""

    payment_id: str
    charge_id: str
    order: str
    amount: int
    currency: str
    captured_at: datetime
    amount_refunded: int


class KnownRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it stands with us; `provider_id` once the provider has told it."""

    refund: str
    provider_id: str | None
    payment_id: str
    order: str
    amount: int
    state: str
    created_at: datetime
    settled_at: datetime | None
