"""What to do next with a call that was, or was not, made. Pure; instants are aware UTC."""

from datetime import date, datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

import msgspec

from billing.kernel.days import day_of
from billing.kernel.errors import Conflict, NotFound

OLDEST_KEY = timedelta(hours=23)
"""The provider forgets keys after 24 hours and would then make a second object (I14, F35)."""

MOST_SENDS = 2
"""A second unknown answer under one key is replayed for ever by the provider (F29): from then on we look instead."""

FINAL = frozenset({"failed", "canceled"})
"""The provider did not do it; the money is owed as before, and people send it another way, or waive it (R75)."""

UNSETTLED = ("new", "pending", "unknown")
"""Under way: to be sent, or to be asked about."""

NOT_RESERVED = FINAL | {"waived"}
"""Refunds that take nothing of their payment."""

REFUND_DAYS = 14
"""Calendar days from the receipt of a claim to the day on which its money must have gone (R76)."""

REFUND_WARNINGS = (7, 3, -1)
"""With so many days left a refund that is not done is shouted about; -1: the day is over (R76)."""

METHOD_DAYS = {"p24": 180}
"""For so many days a method gives money back (R75); others for as long as a pass lives."""

IntentState = Literal["new", "done", "refused", "unknown"]
Step = Literal["send", "look_up", "read", "over"]
Reason = Literal[
    "withdrawal", "duplicate", "late", "non_conformity", "sponsor_overlap", "goodwill", "dispute", "school_block"
]
RefundStanding = Literal["new", "pending", "succeeded", "failed", "unknown", "canceled", "sent_by_bank", "waived"]


_SENT: tuple[RefundStanding, ...] = ("pending", "succeeded", "failed", "canceled")
REFUND_MOVES: frozenset[tuple[RefundStanding, RefundStanding]] = frozenset(
    {
        *(("new", told) for told in _SENT),
        *(("unknown", told) for told in _SENT),
        *(("pending", told) for told in ("succeeded", "failed", "canceled")),
        ("succeeded", "failed"),  # a refund may come back after it looked fine (R76)
        ("succeeded", "pending"),
        ("succeeded", "canceled"),
        *((gone, by_hand) for gone in ("failed", "canceled") for by_hand in ("sent_by_bank", "waived")),
    }
)
"""The last four edges are two people's (R75); nothing the provider says leads along them, or away from their ends."""


class RefundTooLarge(Conflict):
    """All refunds of the payment together would exceed what was paid (R77, I13)."""

    code = "refund_exceeds_payment"


class UnknownPayment(NotFound):
    """There is no such payment, refund or intent with us."""


class OutcomeUnknown(Conflict):
    """An earlier call for the same target has no known outcome yet; nothing else may start (I15)."""

    code = "outcome_unknown"


class ForeignObject(Conflict):
    """An object of the provider names us, but is not what we asked for: for people to look at (S12)."""

    code = "foreign_object"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A call to make: `key` and `request` are what is sent, every time the same."""

    id: UUID
    kind: str
    target: str
    attempt: int
    key: str
    request: dict[str, Any]
    state: IntentState
    provider_id: str | None
    tries: int
    created_at: datetime
    sent_at: datetime | None
    fault: str | None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Money captured for an order, in grosz."""

    id: UUID
    order: str
    payment_id: str
    charge_id: str
    amount: int
    currency: str
    method: str
    captured_at: datetime
    amount_refunded: int
    refund_reserved: int

    @property
    def refundable(self) -> int:
        """What no refund has taken yet, in grosz."""
        return self.amount - self.refund_reserved


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money to give back; `public_id` is what everybody else calls it (`ref_…`)."""

    id: UUID
    public_id: str
    payment: UUID
    payment_id: str
    order: str
    reason: Reason
    scope: str
    amount: int
    state: RefundStanding
    approved_by: str
    created_at: datetime
    legal_due_on: date
    provider_id: str | None
    fault: str | None


def next_step(intent: Intent, at: datetime) -> Step:
    """What may be done with an intent at `at`: send it (again, under its one key), look up whether it was done, read
    the object it made, or nothing because it is over.

    A key older than 23 h is never sent (I14); after a second unknown answer we only look (F29).
    """
    if intent.state == "done":
        return "read"
    if intent.state == "refused":
        return "over"
    if at - intent.created_at >= OLDEST_KEY:
        return "look_up"
    if intent.state == "unknown" and intent.tries >= MOST_SENDS:
        return "look_up"
    return "send"


def refund_move(now: RefundStanding, told: str) -> RefundStanding:
    """The state a refund takes on when the provider tells of `told`; an edge that is not in the table changes nothing.

    Reading is not ordered by time for us, but it is at the provider: what it says now is true now. Only failed and
    canceled are final; succeeded may still fail (R76); `requires_action` is one kind of pending.
    """
    to = cast("RefundStanding", "pending" if told == "requires_action" else told)
    return to if (now, to) in REFUND_MOVES else now


def refund_due_on(received_on: date) -> date:
    """The last day on which the money of a claim received on a day may go back (R76)."""
    return received_on + timedelta(days=REFUND_DAYS)


def is_too_old(method: str, captured_at: datetime, at: datetime) -> bool:
    """Whether the way the money came gives none back any more (R75)."""
    days = METHOD_DAYS.get(method)
    return days is not None and day_of(at) > day_of(captured_at) + timedelta(days=days)


def warning_level(legal_due_on: date, today: date) -> int | None:
    """Which warning stands on a day for money that has not gone: the least of `REFUND_WARNINGS` reached; None: none."""
    left = (legal_due_on - today).days
    return min((days for days in REFUND_WARNINGS if left <= days), default=None)
