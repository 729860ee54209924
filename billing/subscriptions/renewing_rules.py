"""How a renewing subscription stands, what becomes of its money, and whether it may be charged again. Pure.

Everything is a function of facts that only grow: the invoices of the provider (a paid one stays paid), what the buyer
wants, and the instant. So the order in which news arrives matters to nobody (I01). The right runs to the end of what is
paid; while a renewal is wanted and its money awaited, it is left on for the days of grace, a date that stands from the
beginning and needs no job.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal

import msgspec

from billing.kernel.days import day_of, start_of
from billing.payments.gateway_renewals import InvoiceFacts, InvoiceState
from billing.subscriptions import rules as rights
from billing.subscriptions.rules import OVER, State

RenewalState = State | Literal["new"]
OffReason = Literal[
    "asked", "no_consent", "no_notice", "mandate_revoked", "at_provider", "payment_failed", "erased", "covered", "over"
]
Blocker = Literal["no_consent", "no_notice"]
Fate = Literal["kept", "late", "duplicate"]

GUARD_LEAD: Final = timedelta(days=3)
"""How long before a charge it is decided whether it may be."""
IN_PERSON: Final = 0
"""Told by the page on which the buyer said yes to the charge, naming its day and amount."""

_RANK: Final[tuple[InvoiceState, ...]] = ("draft", "open", "uncollectible", "void", "paid")

MOVES: Final[frozenset[tuple[RenewalState, RenewalState]]] = frozenset(
    {
        *rights.MOVES,
        ("new", "active"),
        *(("new", over) for over in OVER),
    }
)
"""As for a right, and from nothing paid to the first payment; what is over stays over (I04)."""


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one invoice; `fate` is what its money became, null while it has none."""

    invoice_id: str
    state: InvoiceState
    reason: str
    amount: int
    quantity: int
    covers_from: datetime
    covers_until: datetime
    attempts: int
    next_attempt_at: datetime | None
    made_at: datetime
    fate: Literal["kept", "given_back"] | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the buyer accepted and wants now. Instants of wishes are when they were said."""

    state: RenewalState
    unit_gross: int
    quantity: int
    grace_days: int
    period_end: datetime | None = None
    has_buyer: bool = True
    is_renewal_on: bool = True
    off_reason: OffReason | None = None
    off_at: datetime | None = None
    is_paused: bool = False
    paused_at: datetime | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands at an instant. `lapses_at` is when it stops giving anything if nothing more happens."""

    state: RenewalState
    period_start: datetime | None = None
    period_end: datetime | None = None
    past_due_since: datetime | None = None
    grace_on: date | None = None
    grace_until: datetime | None = None
    lapses_at: datetime | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A letter handed over: of which charge, how many days ahead it was meant to be, which price for one pupil."""

    charge_at: datetime
    days: int
    unit_gross: int
    handed_over_at: datetime


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge to come: `unit_due` is the price for one pupil on its day."""

    at: datetime
    unit_due: int
    interval: str


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """The price for one pupil and interval the buyer agreed to last (R64, R66)."""

    unit_gross: int
    interval: str


def merged(known: Invoice | None, told: InvoiceFacts) -> Invoice:
    """What is known after being told: states only go forward, so that stale news takes nothing back."""
    fresh = Invoice(
        invoice_id=told.invoice_id, state=told.state, reason=told.reason, amount=told.amount, quantity=told.quantity,
        covers_from=told.covers_from, covers_until=told.covers_until, attempts=told.attempts,
        next_attempt_at=told.next_attempt_at, made_at=told.made_at,
    )  # fmt: skip
    if known is None:
        return fresh
    later = fresh if (fresh.attempts, _RANK.index(fresh.state)) >= (known.attempts, _RANK.index(known.state)) else known
    return msgspec.structs.replace(
        later, state=max(known.state, fresh.state, key=_RANK.index), attempts=max(known.attempts, fresh.attempts),
        fate=known.fate,
    )  # fmt: skip


def fate_of(
    invoice: Invoice, captured_at: datetime, terms: Terms, *, is_clear: bool, agreed_change: int | None
) -> Fate:
    """What to do with the money of a paid invoice: it buys its period, or goes back at once (I04, I12, R57).

    `is_clear` says that the charge was announced and agreed to; `agreed_change` is the amount of the one change the
    buyer accepted and that has no invoice yet.
    """
    if terms.state in OVER or not terms.has_buyer:
        return "late"
    if invoice.reason == "subscription_update":
        return "kept" if agreed_change == invoice.amount else "late"
    if invoice.amount != terms.unit_gross * terms.quantity:
        return "late"
    if terms.period_end is None:
        return "kept"
    if invoice.covers_from < terms.period_end:
        return "duplicate"
    was_unwanted = _before(terms.off_at, captured_at) or (terms.is_paused and _before(terms.paused_at, captured_at))
    return "late" if was_unwanted or not is_clear else "kept"


def _before(said_at: datetime | None, captured_at: datetime) -> bool:
    return said_at is not None and said_at <= captured_at


def stand(terms: Terms, invoices: Collection[Invoice], at: datetime) -> Standing:
    """How it stands at `at`. What is over stays as it is; what was never paid is new."""
    kept = [invoice for invoice in invoices if invoice.fate == "kept"]
    if terms.state in OVER or not kept:
        return Standing(state=terms.state)
    last = max(kept, key=lambda invoice: (invoice.covers_until, invoice.covers_from))
    start, end = last.covers_from, last.covers_until
    grace = grace_of(end, terms)
    lapses = grace[1] if grace else max(end, terms.off_at or end)
    owed = [invoice for invoice in invoices if _is_owed(invoice, end)]
    is_past_due = bool(owed) and grace is not None
    return Standing(
        state=_state(terms, at, lapses, is_past_due=is_past_due),
        period_start=start,
        period_end=end,
        past_due_since=min(invoice.made_at for invoice in owed) if is_past_due else None,
        grace_on=grace[0] if grace else None,
        grace_until=grace[1] if grace else None,
        lapses_at=lapses,
    )


def _state(terms: Terms, at: datetime, lapses: datetime, *, is_past_due: bool) -> RenewalState:
    if at < lapses:
        return "past_due" if is_past_due else "active"
    waits = terms.is_paused or (terms.state == "paused" and terms.is_renewal_on)
    return "paused" if waits and terms.off_reason is None else "ended"


def grace_of(period_end: datetime, terms: Terms) -> tuple[date, datetime] | None:
    """The first day on basic, and its first instant, if the next payment does not come; None where none is awaited.

    A payment that the bank refused for good leaves the days that were promised.
    """
    is_awaited = (terms.is_renewal_on and not terms.is_paused) or terms.off_reason == "payment_failed"
    if not is_awaited or terms.grace_days <= 0:
        return None
    first = day_of(period_end) + timedelta(days=terms.grace_days)
    return first, start_of(first)


def _is_owed(invoice: Invoice, period_end: datetime) -> bool:
    return invoice.state in {"open", "uncollectible"} and invoice.attempts > 0 and invoice.covers_from >= period_end


def may_charge(
    charge: Charge, told: Collection[Told], consent: Consent | None, notice_days: int, at: datetime
) -> Blocker | None:
    """Why a charge must not be, by what is known at `at`; None when it may be.

    Its price needs the buyer's own yes to that price or a higher one (R64, R66), and the last letter of it must have
    been handed over `notice_days` Warsaw days before (R65), unless the buyer was shown the very charge and said yes.
    """
    if consent is None or consent.interval != charge.interval or charge.unit_due > consent.unit_gross:
        return "no_consent"
    limit = day_of(charge.at) - timedelta(days=notice_days)
    for letter in told:
        is_of_it = letter.charge_at == charge.at and letter.unit_gross == charge.unit_due
        in_time = letter.days == IN_PERSON or (letter.days == notice_days and day_of(letter.handed_over_at) <= limit)
        if is_of_it and in_time and letter.handed_over_at <= at:
            return None
    return "no_notice"


def guard_at(charge_at: datetime) -> datetime:
    """When it is decided whether a charge may be."""
    return charge_at - GUARD_LEAD


FIRST_LOOK: Final = timedelta(minutes=1)
LONGEST_LOOK: Final = timedelta(hours=6)


def next_look(state: RenewalState, instants: Sequence[datetime | None], checks: int, at: datetime) -> datetime | None:
    """When to ask the provider again: at the next instant at which something changes by itself; while news is overdue,
    after 1, 2, 4 … minutes, then every six hours. Never for what is over (I02)."""
    if state in OVER:
        return None
    ahead = min((instant for instant in instants if instant is not None and instant > at), default=None)
    is_overdue = state in {"new", "past_due"} or any(instant is not None and instant <= at for instant in instants)
    if not is_overdue:
        return ahead
    soon = at + min(FIRST_LOOK * 2 ** min(checks, 12), LONGEST_LOOK)
    return min(soon, ahead) if ahead is not None else soon
