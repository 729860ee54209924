"""Whether a withdrawal came in time, and how much of the money stays. Pure; money in grosz, days are Warsaw days."""

from collections.abc import Collection
from datetime import date
from typing import Final, Literal, get_args

import msgspec

from billing.catalog.values import RefundPolicy
from billing.kernel.days import last_day_of_term
from billing.kernel.errors import Conflict

Channel = Literal["online", "letter", "email", "phone"]
State = Literal["accepted", "late"]

CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
STATES: Final[tuple[State, ...]] = get_args(State)
MOVES: Final[frozenset[tuple[State, State]]] = frozenset({("late", "accepted")})
"""A declaration that was late gives way to one that was sent in time and took longer to come. Nothing leads back."""


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """What a withdrawal undoes for one pupil: its gross price, its first and its last day, both included."""

    price: int
    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it was sold for."""
        return (self.last - self.first).days + 1

    def used(self, on: date) -> int:
        """How many of them had begun by the end of `on`: that day counts, and none counts before the first."""
        return min(max((on - self.first).days + 1, 0), self.days)

    def kept(self, on: date) -> int:
        """The price of the days used, rounded down (R74, golden table 8.2)."""
        return self.price * self.used(on) // self.days


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What stays and what goes back. Together they are all that was still there to go back."""

    kept: int
    refund: int


def move(now: State, to: State) -> State:
    """The next state; an edge that is not in the table is refused (I17)."""
    if (now, to) not in MOVES:
        raise Conflict(f"A withdrawal cannot go from {now} to {to}.", code="conflict")
    return to


def last_day(concluded_on: date, days: int) -> date:
    """The last day on which a declaration may be sent, until 23:59:59 in Warsaw (R72, golden table 8.1)."""
    return last_day_of_term(concluded_on, days)


def judge(sent_on: date, last: date) -> State:
    """The day of sending counts, not that of reading (R72)."""
    return "accepted" if sent_on <= last else "late"


def sharing(money: int, rights: Collection[Right]) -> list[Right]:
    """The rights at prices that are this money to the grosz: a day of any of them costs the same."""
    total, before, found = sum(right.days for right in rights), 0, list[Right]()
    for right in rights:
        upto = before + right.days
        price = money * upto // total - money * before // total
        found.append(msgspec.structs.replace(right, price=price))
        before = upto
    return found


def settle(
    rights: Collection[Right], refundable: int, on: date, *, policy: RefundPolicy, was_wished: bool, was_told: bool
) -> Settlement:
    """What goes back of the money for these rights when the withdrawal was sent on `on`.

    A part is kept only where the policy says `prorata`, an early start was wished for, and the confirmation with the
    information about withdrawing had gone out (R74). `refundable` bounds it: nothing goes back twice (R77).
    """
    paid = min(refundable, sum(right.price for right in rights))
    if policy == "full" or not (was_wished and was_told):
        return Settlement(kept=0, refund=paid)
    kept = min(paid, sum(right.kept(on) for right in rights))
    return Settlement(kept=kept, refund=paid - kept)


def is_in_the_past(sent_on: date, ordered_on: date, today: date) -> bool:
    """Whether a day may be that of sending: not before the order was made, and not in the future."""
    return ordered_on <= sent_on <= today
