"""What is told to whom, when it is tried again, and when it is given up. Standard Webhooks 1.0.0 where it speaks.

Pure: values in, values out.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

import msgspec

from billing.kernel.ids import public

EventName = Literal[
    "entitlements.changed",
    "trial.started",
    "trial.ending",
    "trial.ended",
    "order.paid",
    "order.failed",
    "subscription.ended",
    "refund.succeeded",
    "account.erased",
]
EVENTS: Final[tuple[EventName, ...]] = get_args(EventName)

TOLD: Final[Mapping[EventName, tuple[str, ...]]] = {
    "entitlements.changed": ("seq", "account", "pupil", "cause", "changed_at", "effective_at"),
    "trial.started": ("trial", "pupil"),
    "trial.ending": ("trial", "pupil", "reverts_on"),
    "trial.ended": ("trial", "pupil"),
    "order.paid": ("order", "account", "pupils"),
    "order.failed": ("order", "account"),
    "subscription.ended": ("subscription", "pupil"),
    "refund.succeeded": ("refund", "order"),
    "account.erased": ("account",),
}
"""All that `data` of each event holds: ids, days and instants; never an address, a name or an amount (R87)."""

WHEN: Final[Mapping[EventName, str]] = {
    "entitlements.changed": "Answers about an account's pupil say something else now",
    "trial.started": "A pupil's trial has begun",
    "trial.ending": "All parents were told on which day the trial ends; the day holds",
    "trial.ended": "A trial has ended unpaid",
    "order.paid": "An order is paid, and what it bought is in force",
    "order.failed": "The payment of an order has failed",
    "subscription.ended": "A paid right has ended, for whatever reason",
    "refund.succeeded": "Money is back with its buyer",
    "account.erased": "An account was erased; only paid orders are kept, without it",
}

WAITS: Final[tuple[timedelta, ...]] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long to wait after each try, at least: ten tries over 75 h 35 min, as Standard Webhooks proposes."""
MOST_TRIES: Final = len(WAITS) + 1
JITTER: Final = 0.2
"""A wait is longer by up to this part of itself, so that what failed together does not come back together."""
QUIET: Final = timedelta(seconds=5)
LONGEST_QUIET: Final = timedelta(minutes=5)
LONGEST_ASKED: Final = timedelta(hours=24)
"""How long a receiver may ask to be left alone, at most."""
FAILING_FOR: Final = timedelta(days=5)
"""An endpoint that has not given one answer for so long is disabled."""
OLD_SECRET: Final = timedelta(hours=24)
"""How long a rotated secret still signs, beside the new one."""
KEPT: Final = timedelta(days=30)
"""How long a delivery is kept, for replaying it."""

Trouble = Literal["timeout", "no_address", "address_refused", "no_connection", "no_answer", "secret_unreadable"]
State = Literal["pending", "delivered", "failed"]

_GONE: Final = 410
_OVERLOADED: Final = frozenset({429, 502, 503, 504})


class Outcome(msgspec.Struct, frozen=True):
    """What came of one try: the status that was answered, or what kept an answer from coming. `asked`: how long the
    receiver wants to be left alone."""

    status: int | None = None
    trouble: Trouble | None = None
    asked: timedelta = timedelta()

    @property
    def is_delivered(self) -> bool:
        """2xx and nothing else; a redirect is a failure, and is not followed (S16)."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers

    @property
    def is_gone(self) -> bool:
        """The receiver wants nothing any more."""
        return self.status == _GONE

    @property
    def is_unwell(self) -> bool:
        """The endpoint as a whole is in trouble, not only this one event: nobody answered, or an overloaded one did."""
        return self.status is None or self.status in _OVERLOADED

    @property
    def fault(self) -> str | None:
        """In a word, why it was no delivery."""
        return None if self.is_delivered else self.trouble or f"status_{self.status}"


class Parcel(msgspec.Struct, frozen=True):
    """One delivery on its way: `tries` counts this one."""

    message: UUID
    body: bytes
    tries: int

    @property
    def name(self) -> str:
        """The `webhook-id`: the same on every try, and for every endpoint."""
        return event_id(self.message)


class Round(msgspec.Struct, frozen=True):
    """What one endpoint is to get now. The secrets are sealed, the newest first."""

    endpoint: UUID
    url: str
    secrets: tuple[bytes, ...]
    parcels: tuple[Parcel, ...]


def event_id(message: UUID) -> str:
    """The public id of an event."""
    return public("evt", message)


def body_of(public_id: str, kind: EventName, at: str, facts: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent, the same on every try: `{"id","type","timestamp","data"}`."""
    data = {name: facts.get(name) for name in TOLD[kind]}
    return msgspec.json.encode({"id": public_id, "type": kind, "timestamp": at, "data": data})


def next_try(tries: int, at: datetime, spread: float) -> datetime | None:
    """When to try again after the `tries`-th try failed at `at`; None: never. `spread` is from 0 to below 1."""
    if tries >= MOST_TRIES:
        return None
    return at + WAITS[max(tries, 1) - 1] * (1 + JITTER * spread)


def wait_asked(retry_after: str, now: datetime) -> timedelta:
    """What `Retry-After` asks for (RFC 9110, 10.2.3): seconds, or an instant. Nothing, for what is neither, or past.

    >>> wait_asked("120", datetime(2026, 9, 1, tzinfo=UTC)).total_seconds()
    120.0
    """
    words = retry_after.strip()
    if words.isascii() and words.isdigit():
        return min(timedelta(seconds=int(words[:9])), LONGEST_ASKED)
    try:
        until = parsedate_to_datetime(words)
    except (ValueError, OverflowError):
        return timedelta()
    return min(max(until.replace(tzinfo=until.tzinfo or UTC) - now, timedelta()), LONGEST_ASKED)


def spread_of(delivery: UUID, tries: int) -> float:
    """The chance of this try, from 0 to below 1: a fixed one, so that what is decided twice is decided alike."""
    digest = hashlib.sha256(delivery.bytes + tries.to_bytes(4)).digest()
    return int.from_bytes(digest[:6]) / 2**48


def quiet_after(failures: int) -> timedelta:
    """How long an endpoint is left alone after so many rounds without an answer. Never longer than a delivery's own
    wait after as many tries, so it delays no retry of a lone delivery.

    >>> [quiet_after(n).total_seconds() for n in (1, 2, 3, 99)]
    [5.0, 10.0, 20.0, 300.0]
    """
    return min(QUIET * 2 ** min(max(failures, 1) - 1, 10), LONGEST_QUIET)
