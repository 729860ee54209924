"""The states a paid right may be in, and the moves between them. Pure."""

from datetime import datetime
from typing import Literal

from billing.kernel.errors import Conflict

Kind = Literal["season_pass", "renewing", "sponsored"]
State = Literal["active", "past_due", "paused", "ended", "withdrawn", "refunded", "disputed"]

ENTITLING: frozenset[State] = frozenset({"active", "past_due"})
MOVES: frozenset[tuple[State, State]] = frozenset(
    {("active", "ended"), ("active", "withdrawn"), ("active", "refunded"), ("active", "disputed")}
)


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
