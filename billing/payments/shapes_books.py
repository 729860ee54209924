"""The provider's books as far as we read them, and what they are in our words. Pure; tolerant as `shapes` is."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from billing.payments.gateway_books import (
    BalanceLine,
    BookedCharge,
    BookedDispute,
    BookedPage,
    BookedPayout,
    BookedRefund,
    LineKind,
)
from billing.payments.shapes import check_mode, instant, read

_KINDS: Final[dict[str, LineKind]] = {
    "charge": "charge",
    "charge_failure": "charge",
    "refund": "refund",
    "refund_failure": "refund",
    "partial_capture_reversal": "refund",
    "dispute": "dispute",
    "dispute_reversal": "dispute",
    "fee": "fee",
    "tax": "fee",
    "payout": "payout",
    "payout_reversal": "payout",
}
_BACK_TO_START: Final = frozenset({"requires_payment_method", "canceled"})


class _Intent(msgspec.Struct, frozen=True):
    id: str
    status: str


class _Page(msgspec.Struct, frozen=True):
    id: str
    livemode: bool
    created: int
    payment_status: str
    status: str | None = None
    client_reference_id: str | None = None
    amount_total: int | None = None
    currency: str | None = None
    metadata: dict[str, str] | None = None
    payment_intent: _Intent | str | None = None


class _Charge(msgspec.Struct, frozen=True):
    id: str
    amount: int
    amount_captured: int
    amount_refunded: int
    currency: str
    created: int
    livemode: bool
    status: str
    captured: bool
    payment_intent: str | None = None
    customer: str | None = None
    disputed: bool = False
    metadata: dict[str, str] | None = None


class _Refund(msgspec.Struct, frozen=True):
    id: str
    amount: int
    currency: str
    created: int
    status: str | None = None
    payment_intent: str | None = None
    charge: str | None = None
    metadata: dict[str, str] | None = None


class _Dispute(msgspec.Struct, frozen=True):
    id: str
    amount: int
    currency: str
    created: int
    status: str
    livemode: bool
    payment_intent: str | None = None
    charge: str | None = None


class _Source(msgspec.Struct, frozen=True):
    """What a movement is about: a charge, a refund, a dispute, a payout, or something of no interest."""

    id: str
    object: str
    payment_intent: str | None = None
    charge: str | None = None
    metadata: dict[str, str] | None = None


class _Line(msgspec.Struct, frozen=True):
    id: str
    amount: int
    fee: int
    net: int
    currency: str
    created: int
    reporting_category: str
    source: _Source | str | None = None


class _Payout(msgspec.Struct, frozen=True):
    id: str
    amount: int
    currency: str
    status: str
    arrival_date: int
    created: int
    livemode: bool
    automatic: bool


def page(raw: dict[str, Any], *, livemode: bool) -> BookedPage:
    """A payment page of any mode, ours or not."""
    found = read(raw, _Page)
    check_mode(found.livemode, livemode)
    intent = found.payment_intent
    is_refused = isinstance(intent, _Intent) and intent.status in _BACK_TO_START
    return BookedPage(
        session_id=found.id,
        status=found.status,
        payment_status=found.payment_status,
        reference=found.client_reference_id,
        order=_order(found.metadata),
        amount=found.amount_total,
        currency=(found.currency or "").upper(),
        created_at=instant(found.created),
        payment_id=intent.id if isinstance(intent, _Intent) else intent,
        payment_failed=found.status == "complete" and is_refused,
    )


def charge(raw: dict[str, Any], *, livemode: bool) -> BookedCharge | None:
    """Money that was taken; None for a try in vain, or money that is only held."""
    found = read(raw, _Charge)
    check_mode(found.livemode, livemode)
    if found.status != "succeeded" or not found.captured:
        return None
    return BookedCharge(
        charge_id=found.id,
        payment_id=found.payment_intent,
        amount=found.amount_captured,
        amount_refunded=found.amount_refunded,
        currency=found.currency.upper(),
        created_at=instant(found.created),
        order=_order(found.metadata),
        customer=found.customer,
        disputed=found.disputed,
    )


def refund(raw: dict[str, Any]) -> BookedRefund:
    """A refund, whoever asked for it."""
    found = read(raw, _Refund)
    return BookedRefund(
        refund_id=found.id,
        state=found.status or "pending",
        payment_id=found.payment_intent,
        charge_id=found.charge,
        amount=found.amount,
        currency=found.currency.upper(),
        created_at=instant(found.created),
        reference=(found.metadata or {}).get("refund"),
    )


def dispute(raw: dict[str, Any], *, livemode: bool) -> BookedDispute:
    """A dispute."""
    found = read(raw, _Dispute)
    check_mode(found.livemode, livemode)
    return BookedDispute(
        dispute_id=found.id,
        state=found.status,
        payment_id=found.payment_intent,
        charge_id=found.charge,
        amount=found.amount,
        currency=found.currency.upper(),
        created_at=instant(found.created),
    )


def balance_line(raw: dict[str, Any]) -> BalanceLine:
    """A movement of money, with what its source tells of it."""
    found = read(raw, _Line)
    source = found.source
    told = source if isinstance(source, _Source) else None
    is_charge = told is not None and told.object == "charge"
    return BalanceLine(
        line_id=found.id,
        kind=_KINDS.get(found.reporting_category, "other"),
        category=found.reporting_category,
        amount=found.amount,
        fee=found.fee,
        net=found.net,
        currency=found.currency.upper(),
        created_at=instant(found.created),
        source_id=source.id if isinstance(source, _Source) else source,
        payment_id=told.payment_intent if told else None,
        charge_id=(told.id if is_charge else told.charge) if told else None,
        order=_order(told.metadata) if told else None,
    )


def payout(raw: dict[str, Any], *, livemode: bool) -> BookedPayout:
    """A payout; its day of arrival is told as midnight in UTC."""
    found = read(raw, _Payout)
    check_mode(found.livemode, livemode)
    return BookedPayout(
        payout_id=found.id,
        amount=found.amount,
        currency=found.currency.upper(),
        state=found.status,
        arrives_on=datetime.fromtimestamp(found.arrival_date, UTC).date(),
        created_at=instant(found.created),
        is_automatic=found.automatic,
    )


def _order(metadata: dict[str, str] | None) -> str | None:
    return (metadata or {}).get("order")
