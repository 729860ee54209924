"""One order's life, small enough to be walked whole: what Stripe's page goes through, what of it is heard when, and the
product's own pure rules folded over it. No database, no clock.

A life is a chain of at most six steps at Stripe or by people; each may be told of as soon as it has happened, up to
twice, or never. Whoever is told reads what is true at that moment (so does the product), and judges by the rules.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import Literal, NamedTuple

from billing.checkout import rules as orders
from billing.payments.rules import RefundStanding, refund_move
from billing.subscriptions import rules as rights
from billing.withdrawals import dispute_rules as disputes

CLOSES = datetime(2027, 5, 31, 22, tzinfo=UTC)
STEP = timedelta(hours=1)
PRICE = 4499

LIVES: dict[str, tuple[str, ...]] = {
    "paid at once": ("complete_paid",),
    "paid, and the money goes back and fails": (
        "complete_paid",
        "withdraw",
        "refund_sent",
        "refund_done",
        "refund_fails",
    ),
    "the bank says yes": ("complete_unpaid", "bank_yes"),
    "the bank says yes to one who has left": ("complete_unpaid", "erase", "bank_yes", "refund_sent", "refund_done"),
    "the bank says yes after a withdrawal": ("complete_unpaid", "withdraw", "bank_yes", "refund_sent", "refund_done"),
    "the bank says no": ("complete_unpaid", "bank_no"),
    "the bank says no, and another page is paid": ("complete_unpaid", "bank_no", "page", "complete_paid"),
    "two pages, both paid": ("complete_paid", "second_paid", "refund_sent", "refund_done"),
    "nobody pays": ("page_over",),
    "paid on the next page": ("page_over", "page", "complete_paid"),
    "paid after the sale": ("sale_over", "complete_paid", "refund_sent", "refund_done"),
    "disputed and won": ("complete_paid", "dispute", "dispute_won"),
    "disputed and lost": ("complete_paid", "dispute", "dispute_lost"),
    "lost, and then won after all": ("complete_paid", "dispute", "dispute_lost", "dispute_won"),
    "everything": ("complete_unpaid", "bank_yes", "dispute", "dispute_won", "withdraw", "refund_sent"),
}


class Stripe(NamedTuple):
    """What is true at Stripe: the present page, money captured (instants), the refund, the dispute."""

    page: str = "open"
    failed: bool = False
    captured: tuple[datetime, ...] = ()
    refund: str = ""
    dispute: str = ""


class Ours(NamedTuple):
    """What we have come to."""

    order: orders.State = "incomplete"
    has_account: bool = True
    withdrawn: bool = False
    booked: tuple[datetime, ...] = ()
    right: rights.State | Literal[""] = ""
    owed: tuple[tuple[str, int], ...] = ()
    refund: RefundStanding | Literal[""] = ""
    dispute: disputes.State | Literal[""] = ""
    moves: tuple[tuple[str, str, str], ...] = ()


def happens(step: str, at: datetime, stripe: Stripe, ours: Ours) -> tuple[Stripe, Ours]:  # noqa: PLR0911 - a table
    """A step at Stripe, or of a person with us."""
    match step:
        case "complete_paid" | "second_paid" | "bank_yes":
            return stripe._replace(page="complete", captured=(*stripe.captured, at)), ours
        case "complete_unpaid":
            return stripe._replace(page="complete", failed=False), ours
        case "bank_no":
            return stripe._replace(failed=True), ours
        case "page_over":
            return stripe._replace(page="expired"), ours
        case "page":
            return stripe._replace(page="open", failed=False), ours
        case "erase":
            return stripe, ours._replace(has_account=False)
        case "withdraw":
            return stripe, _withdrawn(ours)
        case "refund_sent" | "refund_done" | "refund_fails":
            told = {"refund_sent": "pending", "refund_done": "succeeded", "refund_fails": "failed"}[step]
            return stripe._replace(refund=told), ours
        case "dispute" | "dispute_won" | "dispute_lost":
            told = {"dispute": "needs_response", "dispute_won": "won", "dispute_lost": "lost"}[step]
            return stripe._replace(dispute=told), ours
        case _:
            return stripe, ours


def _moved(ours: Ours, what: str, before: str, after: str) -> Ours:
    return ours._replace(moves=(*ours.moves, (what, before, after)))


def _withdrawn(ours: Ours) -> Ours:
    ours = ours._replace(withdrawn=True)
    if ours.order == "incomplete":
        ours = _moved(ours._replace(order=orders.move("incomplete", "expired")), "order", "incomplete", "expired")
    before = ours.right
    if before and before in rights.LIVE:
        after = rights.move(before, "withdrawn")
        ours = _moved(ours._replace(right=after, owed=(*ours.owed, ("withdrawal", PRICE))), "right", before, after)
    return ours


def heard(stripe: Stripe, ours: Ours) -> Ours:
    """We are told of something, read what is true now, and judge it by the product's rules."""
    for at in stripe.captured:
        if at not in ours.booked:
            ours = _paid(ours, at)
    if not stripe.captured and stripe.page == "complete" and ours.order in orders.OPEN:
        to: orders.State = "failed" if stripe.failed else "pending"
        if ours.order != to:
            ours = _moved(ours._replace(order=orders.move(ours.order, to)), "order", ours.order, to)
    if stripe.refund and ours.owed:
        before = ours.refund or "new"
        after = refund_move(before, stripe.refund)
        if after != before:
            ours = _moved(ours._replace(refund=after), "refund", before, after)
    if stripe.dispute and ours.booked:
        ours = _disputed(ours, disputes.state_of(stripe.dispute))
    return ours


def _paid(ours: Ours, at: datetime) -> Ours:
    first = not ours.booked
    fate = orders.fate_of_money(
        captured_at=at,
        sold_until=CLOSES,
        has_account=ours.has_account,
        is_first_payment=first,
        is_withdrawn=ours.withdrawn,
    )
    if first:
        before = ours.order
        ours = _moved(ours._replace(order=orders.move(before, "paid")), "order", before, "paid")
    ours = ours._replace(booked=(*ours.booked, at))
    if fate == "fulfil":
        return ours._replace(right="active")
    return ours._replace(owed=(*ours.owed, (fate, PRICE)))


def _disputed(ours: Ours, told: disputes.State) -> Ours:
    if not ours.dispute:
        ours = _moved(ours._replace(dispute="open"), "dispute", "", "open")
    before: disputes.State = ours.dispute or "open"
    if (before, told) not in disputes.MOVES:
        return ours
    ours = _moved(ours._replace(dispute=disputes.move(before, told)), "dispute", before, told)
    was = ours.right
    if told == "lost" and was and was in rights.LIVE:
        ours = _moved(ours._replace(right=rights.move(was, "disputed")), "right", was, "disputed")
    return ours


# Walking

Waiting = tuple[int, ...]


def deliveries(steps: int) -> Iterator[Waiting]:
    """How often each step is told of: never, once, twice."""
    return product(range(3), repeat=steps)


def in_order(life: tuple[str, ...], *, late: bool = False) -> Ours:
    """Everything told of at once, exactly once."""
    stripe, ours = Stripe(), Ours()
    for number, step in enumerate(life):
        stripe, ours = happens(step, instant_of(number, life), stripe, ours)
        ours = heard(stripe, ours)
    return heard(stripe, ours)


def instant_of(number: int, life: tuple[str, ...]) -> datetime:
    base = CLOSES if "sale_over" in life else CLOSES - timedelta(days=100)
    return base + STEP * number


def ends(life: tuple[str, ...], told: Waiting) -> dict[Ours, int]:
    """Every end that any order of arrival comes to, after one look in the end, and how many orders come to it.

    Orders that have come to the same place are walked on together: each is counted, none is left out.
    """

    @cache
    def walk(done: int, left: Waiting, stripe: Stripe, ours: Ours) -> tuple[tuple[Ours, int], ...]:
        found: dict[Ours, int] = {}
        if done == len(life) and not any(left):
            return ((heard(stripe, ours), 1),)
        if done < len(life):
            after = happens(life[done], instant_of(done, life), stripe, ours)
            _add(found, walk(done + 1, left, *after))
        for place in range(done):
            if left[place]:
                fewer = (*left[:place], left[place] - 1, *left[place + 1 :])
                _add(found, walk(done, fewer, stripe, heard(stripe, ours)))
        return tuple(found.items())

    return dict(walk(0, told, Stripe(), Ours()))


def _add(found: dict[Ours, int], more: tuple[tuple[Ours, int], ...]) -> None:
    for end, many in more:
        found[end] = found.get(end, 0) + many
