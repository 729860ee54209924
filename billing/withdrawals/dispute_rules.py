"""The states of a dispute, and what the provider's words for them mean. Pure."""

from typing import Final, Literal, get_args

from billing.kernel.errors import Conflict

State = Literal["open", "won", "lost"]

STATES: Final[tuple[State, ...]] = get_args(State)
MOVES: Final[frozenset[tuple[State, State]]] = frozenset(
    {
        ("open", "won"),
        ("open", "lost"),
        ("lost", "won"),  # a bank may think again, either way
        ("won", "lost"),
        ("won", "open"),  # a mere inquiry was over, and became a dispute that takes money
    }
)

_ENDS: Final[dict[str, State]] = {"won": "won", "lost": "lost", "warning_closed": "won", "prevented": "won"}
_TAKES_NOTHING: Final = ("warning_", "prevented")
_ARGUED: Final = frozenset({"needs_response", "under_review"})


def move(now: State, to: State) -> State:
    """The next state; an edge that is not in the table is refused (I17)."""
    if (now, to) not in MOVES:
        raise Conflict(f"A dispute cannot go from {now} to {to}.", code="conflict")
    return to


def state_of(told: str) -> State:
    """The provider's word in ours; a word we do not know is an open dispute, which takes nothing from anybody."""
    return _ENDS.get(told, "open")


def takes_money(told: str) -> bool:
    """Whether the money is gone while it is argued over; an inquiry takes none."""
    return not told.startswith(_TAKES_NOTHING)


def turn(now: State, told: str, *, is_taken: bool) -> State | None:
    """What the dispute becomes by the provider's word; None where it stays as it is. `is_taken` says that its money was
    booked as taken before.

    Words have an order: an inquiry's come before those of a dispute that takes money, and those before the bank's
    decision. So a word read earlier and told later takes nothing back (I01); between won and lost the last word counts,
    and whoever tells it must know which that is.
    """
    to = state_of(told)
    if to == now or (is_taken and not takes_money(told)):
        return None
    if to == "open":
        return "open" if now == "won" and not is_taken and told in _ARGUED else None
    return to


def is_covered(kept: int, unit_gross: int, rights: int) -> bool:
    """Whether what is left of an order's money still pays for so many of its rights (I03)."""
    return kept >= unit_gross * rights
