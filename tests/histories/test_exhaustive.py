"""Every order of arrival of every small life: told of never, once or twice, at any moment after it happened (I01, I02).

Nothing is sampled. Orders of arrival that have come to the same place are walked on together, so each is counted and
none is left out; for short lives the same is done one order after another, to show that the counting is right.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from billing.checkout import rules as orders
from billing.payments.rules import REFUND_MOVES
from billing.subscriptions import rules as rights
from billing.withdrawals import dispute_rules as disputes
from tests.histories.small import (
    LIVES,
    PRICE,
    Ours,
    Stripe,
    Waiting,
    deliveries,
    ends,
    happens,
    heard,
    in_order,
    instant_of,
)

TABLES = {"order": orders.MOVES, "right": rights.MOVES, "refund": REFUND_MOVES, "dispute": disputes.MOVES}
HOW_MANY = {1: 3, 2: 31, 3: 842, 4: 45_296, 5: 4_061_871, 6: 546_809_243}
"""Orders of arrival of a life of so many steps, copies and losses included. All lives together: 559,178,634."""


def come_to(end: Ours) -> tuple[object, ...]:
    """What counts in the end: not by which way it was come to."""
    owed = tuple(sorted(amount for _, amount in end.owed))
    return end.order, end.right in rights.LIVE, owed, end.refund, end.dispute, len(end.booked)


def check(end: Ours, where: object) -> None:
    for what, before, after in end.moves:
        assert not before or (before, after) in TABLES[what], ("I17", where, what, before, after)
    over = [place for place, (what, _, after) in enumerate(end.moves) if what == "right" and after in rights.OVER]
    assert len(over) <= 1, ("I04", where)
    back = sum(amount for _, amount in end.owed)
    gone = PRICE if end.dispute == "lost" else 0
    kept = PRICE * len(end.booked) - back - gone
    in_force = end.right in rights.LIVE
    # A bank that thought again leaves money and no right: a case for people, never a right (I04, I12).
    thought_again = end.dispute == "won" and end.right == "disputed"
    assert kept == (PRICE if in_force or thought_again else 0), ("I12, I13", where, end)


def _lives() -> list[Any]:
    """The longest takes a quarter of a minute."""
    return [pytest.param(name, marks=[pytest.mark.slow] if len(LIVES[name]) == 6 else []) for name in sorted(LIVES)]


@pytest.mark.parametrize("name", _lives())
def test_i01_i02_every_order_of_arrival_comes_to_the_end_of_perfect_delivery(name: str) -> None:
    life = LIVES[name]
    wanted, walked = come_to(in_order(life)), 0
    for told in deliveries(len(life)):
        for end, many in ends(life, told).items():
            walked += many
            check(end, (name, told))
            assert come_to(end) == wanted or _either(life, end), (name, told, end)
    assert walked == HOW_MANY[len(life)]


def _either(life: tuple[str, ...], end: Ours) -> bool:
    """A dispute that was lost for a while ends the right only if we heard of it then; the money is back either way."""
    return "dispute_lost" in life and "dispute_won" in life and end.dispute == "won"


def one_by_one(life: tuple[str, ...], told: Waiting) -> Iterator[Ours]:
    """The same without any saving: each order of arrival by itself."""

    def walk(done: int, left: Waiting, stripe: Stripe, ours: Ours) -> Iterator[Ours]:
        if done == len(life) and not any(left):
            yield heard(stripe, ours)
        if done < len(life):
            yield from walk(done + 1, left, *happens(life[done], instant_of(done, life), stripe, ours))
        for place in range(done):
            if left[place]:
                fewer = (*left[:place], left[place] - 1, *left[place + 1 :])
                yield from walk(done, fewer, stripe, heard(stripe, ours))

    yield from walk(0, told, Stripe(), Ours())


def test_walking_together_counts_exactly_the_orders_that_there_are() -> None:
    seen = 0
    for name in ("the bank says no, and another page is paid", "disputed and lost", "paid on the next page"):
        life = LIVES[name][:3]
        for told in deliveries(len(life)):
            found = list(one_by_one(life, told))
            together = ends(life, told)
            assert set(found) == set(together)
            assert len(found) == sum(together.values())
            seen += len(found)
    assert seen > 2_500
