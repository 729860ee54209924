"""What kinds of matters wait for people, how each may end, and who may end it. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import msgspec

from billing.kernel.errors import Conflict, NotFound

Kind = Literal[
    "bank_transfer",
    "dispute",
    "stray_money",
    "finding",
    "school_block",
    "complaint",
    "invoice_request",
    "unreachable",
    "staff_refund",
]
State = Literal["open", "proposed", "closed"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
MOVES: Final[frozenset[tuple[State, State]]] = frozenset(
    {("open", "proposed"), ("open", "closed"), ("proposed", "open"), ("proposed", "closed"), ("closed", "open")}
)


class UnknownCase(NotFound):
    """There is no such case."""


class SecondPersonNeeded(Conflict):
    """Whoever proposed an outcome cannot approve it too (R117)."""

    code = "second_person_needed"


class NotAnOutcome(Conflict):
    """A case of its kind cannot end so."""

    code = "not_an_outcome"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of case goes: its possible outcomes, when it is due, how early that is said, and whether ending it
    needs a second person."""

    outcomes: tuple[str, ...]
    due_after: timedelta | None = None
    warn_before: tuple[timedelta, ...] = ()
    needs_two: bool = False


RULES: Final[Mapping[Kind, Rule]] = {
    "bank_transfer": Rule(
        outcomes=("sent", "dismissed"),
        due_after=timedelta(days=14),
        warn_before=(timedelta(days=8), timedelta(days=4)),  # 7 and 3 days are left; due is the end of the last day
        needs_two=True,
    ),
    "dispute": Rule(outcomes=("won", "lost", "dismissed")),
    "stray_money": Rule(outcomes=("refunded", "explained")),
    "finding": Rule(outcomes=("applied", "explained")),
    "school_block": Rule(outcomes=("refunded", "kept")),
    "complaint": Rule(
        outcomes=("accepted", "refused", "accepted_by_law"),
        due_after=timedelta(days=14),
        warn_before=(timedelta(days=5),),  # on the tenth day: the due instant is the end of the fourteenth
    ),
    "invoice_request": Rule(
        outcomes=("issued", "refused"),
        due_after=timedelta(days=15),
        warn_before=(timedelta(days=5), timedelta(days=2)),
    ),
    "unreachable": Rule(outcomes=("told", "ended")),
    "staff_refund": Rule(outcomes=("refunded", "refused"), needs_two=True),
}


def move(now: State, to: State) -> State:
    """The next state; an edge that is not in the table is refused (I17)."""
    if (now, to) not in MOVES:
        raise Conflict(f"A case cannot go from {now} to {to}.", code="conflict")
    return to


def checked_outcome(kind: Kind, outcome: str) -> str:
    """The outcome, if a case of this kind may end so. Raises NotAnOutcome."""
    if outcome not in RULES[kind].outcomes:
        raise NotAnOutcome(f"A {kind} case does not end as {outcome}.", outcomes=list(RULES[kind].outcomes))
    return outcome


def is_warned(kind: Kind, due_at: datetime | None, at: datetime) -> bool:
    """Whether a case is so near its due instant, or past it, that it is to be shouted about (R76, R80)."""
    if due_at is None:
        return False
    return at >= due_at - max(RULES[kind].warn_before, default=timedelta(0))
