"""The provider's books as far as we read them, and what they are in our words. Pure; tolerant as `shapes` is."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from billing.payments.gateway_books import (
    BalanceLine,
    BookedCharge,
    BookedPage,
    BookedPayout,
    BookedRefund,
    LineKind,
)
from billing.payments.shapes import Charge, PaymentIntent, Refund, Session, check_mode, has_failed, instant, mark, read

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


class _Charge(Charge, frozen=True, kw_only=True):
    """A charge of anybody's, with what only the books ask of it."""

    amount_captured: int
    customer: str | None = None
    metadata: dict[str, str] | None = None


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
    found = read(raw, Session)
    check_mode(found.livemode, livemode)
    intent = found.payment_intent
    return BookedPage(
        session_id=found.id,
        status=found.status,
        payment_status=found.payment_status,
        reference=found.client_reference_id,
        order=mark(found.metadata, "order"),
        amount=found.amount_total,
        currency=(found.currency or "").upper(),
        created_at=instant(found.created),
        payment_id=intent.id if isinstance(intent, PaymentIntent) else intent,
        payment_failed=has_failed(found),
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
        order=mark(found.metadata, "order"),
        customer=found.customer,
        disputed=found.disputed,
    )


def refund(raw: dict[str, Any]) -> BookedRefund:
    """A refund, whoever asked for it."""
    found = read(raw, Refund)
    return BookedRefund(
        refund_id=found.id,
        state=found.status or "pending",
        payment_id=found.payment_intent,
        charge_id=found.charge,
        amount=found.amount,
        currency=found.currency.upper(),
        created_at=instant(found.created),
        reference=mark(found.metadata, "refund"),
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
        order=mark(told.metadata, "order") if told else None,
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
