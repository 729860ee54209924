"""The states a paid right may be in, and the moves between them. Pure.

Three questions, three predicates: does it entitle at an instant, will it renew, can it be changed. None follows from
another.
"""

from datetime import datetime
from typing import Final, Literal

from billing.kernel.errors import Conflict

Kind = Literal["season_pass", "renewing", "sponsored"]
State = Literal["active", "past_due", "paused", "ended", "withdrawn", "refunded", "disputed"]

ENTITLING: Final[frozenset[State]] = frozenset({"active", "past_due"})
LIVE: Final[frozenset[State]] = frozenset({"active", "past_due", "paused"})
OVER: Final[tuple[State, ...]] = ("ended", "withdrawn", "refunded", "disputed")

MOVES: Final[frozenset[tuple[State, State]]] = frozenset(
    {
        *((live, over) for live in sorted(LIVE) for over in OVER),
        ("active", "past_due"),
        ("past_due", "active"),
        ("active", "paused"),
        ("past_due", "paused"),
        ("paused", "active"),
        ("paused", "past_due"),
    }
)
"""What is over stays over: no event, and no money, makes it live again (I04)."""


def move(now: State, to: State) -> State:
    """The next state; an edge that is not in the table is refused (I17)."""
    if (now, to) not in MOVES:
        raise Conflict(f"A subscription cannot go from {now} to {to}.", code="conflict")
    return to


def state_at(state: State, until: datetime, at: datetime) -> State:
    """A right that has run out is ended, whether or not somebody has written it down (R131)."""
    return "ended" if state in ENTITLING and at >= until else state


def is_entitling(state: State, since: datetime, until: datetime, at: datetime) -> bool:
    """Whether it gives its features at `at`."""
    return state in ENTITLING and since <= at < until


def will_renew(kind: Kind, state: State, *, is_renewal_on: bool, is_paused: bool = False) -> bool:
    """Whether it will be charged for another period unless somebody says otherwise (R63); one that waits after a pause
    for its next charge day will."""
    return kind == "renewing" and state in LIVE and is_renewal_on and not is_paused


def can_be_changed(kind: Kind, state: State, until: datetime, at: datetime) -> bool:
    """Whether its buyer may pause it, change its interval or turn its renewal off or on."""
    return kind == "renewing" and state in LIVE and at < until
