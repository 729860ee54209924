"""What must have become of a family, from what people did and what Stripe's books show. Knows no product code.

Written from the requirements: money that is confirmed buys a right for each pupil of its order, from its capture (or
from the first day of a season that has not begun) until the season's end (R5, R53); a pupil has one at a time, whoever
else pays gets it back (R49); late money goes back: after the sale has closed, to an account that is gone (R57); a
withdrawal ends the right and returns the whole (R74 `full`, R78); a dispute that is lost ends what its money paid for
(R60); what cannot go back the way it came waits for a person (R75).

Who of several buyers is first is chance: the product says whom it took, and everything else must follow from that.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

WARSAW = ZoneInfo("Europe/Warsaw")


@dataclass(frozen=True)
class Order:
    name: str
    buyer: str
    pupils: tuple[str, ...]
    unit: int
    made_at: datetime

    @property
    def ends_in(self) -> int:
        """The year in which its season ends: the running one until 31 May, then the next (R5, R6)."""
        on = self.made_at.astimezone(WARSAW)
        return on.year if on.month < 6 else on.year + 1

    @property
    def begins(self) -> datetime:
        """Before this a season that has not begun gives nothing."""
        return _midnight(self.ends_in - 1, 7)

    @property
    def closes(self) -> datetime:
        """From now on money for it is late."""
        return _midnight(self.ends_in, 6)

    @property
    def over(self) -> datetime:
        """The end of its season."""
        return _midnight(self.ends_in, 7)


@dataclass(frozen=True)
class Money:
    """A captured charge. `back` did not fail, in grosz; `dispute` is None, open, won or lost, `ended` since when."""

    order: str
    at: datetime
    amount: int
    back: int = 0
    dispute: str | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class Deed:
    """What somebody did: `withdraw` from an order, `erase` an account, `refund` so much of an order by hand at Stripe,
    give so much of it back as `staff`."""

    what: str
    whom: str
    at: datetime
    amount: int = 0


@dataclass(frozen=True)
class Claim:
    """A right as the front desk gives it."""

    order: str
    pupil: str
    since: datetime
    until: datetime
    ended: datetime | None = None
    """When it was ended; a right that was ended before it began never gave anything."""

    def stood_at(self, at: datetime) -> bool:
        """Whether it had not been ended then, begun or not."""
        return (self.ended or self.until) >= at


@dataclass
class Told:
    """What the product says it has come to. Refunds that failed wait in cases; `paid` are the orders it calls so."""

    claims: list[Claim] = field(default_factory=list[Claim])
    paid: set[str] = field(default_factory=set[str])
    failed: dict[str, int] = field(default_factory=dict[str, int])
    back: dict[str, int] = field(default_factory=dict[str, int])
    cases: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])


def _midnight(year: int, month: int) -> datetime:
    return datetime(year, month, 1, tzinfo=WARSAW)


def judge(orders: Iterable[Order], money: list[Money], deeds: list[Deed], told: Told, now: datetime) -> list[str]:
    """Everything in which the product has come to something else than it must."""
    known = {order.name: order for order in orders}
    wrong = [f"{name}: money of an order that nobody made" for name in {each.order for each in money} - set(known)]
    for order in known.values():
        paid = sorted((each for each in money if each.order == order.name), key=lambda each: each.at)
        mine = [claim for claim in told.claims if claim.order == order.name]
        if (order.name in told.paid) != bool(paid):
            wrong.append(f"R53 {order.name}: paid {len(paid)} times, and is said to be {order.name in told.paid}")
        for pupil in order.pupils:
            claims = [claim for claim in mine if claim.pupil == pupil]
            wrong += _of_pupil(order, pupil, paid, claims, deeds, told, now)
        wrong += [f"R1 {order.name}: a right for {c.pupil}, not in it" for c in mine if c.pupil not in order.pupils]
        wrong += _of_money(order, paid, mine, deeds, told)
        wrong += _of_cases(order, paid, told)
    return wrong + _overlaps(told.claims, now)


def _of_pupil(
    order: Order,
    pupil: str,
    paid: list[Money],
    claims: list[Claim],
    deeds: list[Deed],
    told: Told,
    now: datetime,
) -> list[str]:
    where = f"{order.name} {pupil}"
    if not paid:
        return [f"I03 {where}: a right without money"] if claims else []
    gone = [deed.at for deed in deeds if deed.what == "erase" and deed.whom == order.buyer]
    left = [deed.at for deed in deeds if deed.what == "withdraw" and deed.whom == order.name]
    first = paid[0].at
    # What came at the very instant of leaving may have been heard of before it or after it.
    if first >= order.closes or any(at < first for at in gone + left):
        return [f"R57 {where}: a right for money that came too late"] if claims else []
    if len(claims) > 1:
        return [f"I11 {where}: {len(claims)} rights of one order"]
    if claims:
        return _of_claim(order, where, paid, claims[0], deeds, told, now)
    # Judged at some moment from its capture on: whoever had the right then made it a duplicate, also where that right
    # was withdrawn from later, be it before it began (R49).
    covered = any(
        other.pupil == pupil and other.order != order.name and other.since < order.over and other.stood_at(first)
        for other in told.claims
    )
    # What was paid before its own buyer left, and heard of afterwards, may go either way (R57).
    return [] if covered or gone or left else [f"R53 {where}: paid, and has no right, and nobody else paid for it"]


def _of_claim(
    order: Order, where: str, paid: list[Money], claim: Claim, deeds: list[Deed], told: Told, now: datetime
) -> list[str]:  # fmt: skip
    begins = {max(each.at, order.begins) for each in paid}
    if claim.since not in begins and not (claim.since == claim.until <= max(begins)):
        return [f"R5 {where}: given from {claim.since}, not {sorted(begins)}"]
    left = min((deed.at for deed in deeds if deed.what == "withdraw" and deed.whom == order.name), default=None)
    gone = _gone(order, paid, deeds, told, left)
    if gone is not None:
        # A part that went back leaves the right (R78); a bank that took what it cost ends it.
        good = gone <= claim.until <= (left or now)
        return [] if good else [f"R60 {where}: its money is gone since {gone}, and it is given until {claim.until}"]
    if left is not None:
        good = claim.until == min(left, order.over)
        return [] if good else [f"R78 {where}: withdrawn at {left}, and given {claim.since} to {claim.until}"]
    lost = [each.ended for each in paid if each.dispute == "lost" and each.ended is not None]
    kept = sum(each.amount - each.back for each in paid if each.dispute != "lost")
    if claim.until != order.over and not (lost and kept < order.unit * len(order.pupils)):
        return [f"R5 {where}: given until {claim.until}, not {order.over}"]
    return []


def _gone(
    order: Order, paid: list[Money], deeds: list[Deed], told: Told, left: datetime | None
) -> datetime | None:  # fmt: skip
    """Since when, at the earliest, its money may have been gone before anybody withdrew: given back by hand or by staff
    to the last grosz, or taken by a bank so far that it does not pay for one pupil."""
    given = [
        deed for deed in deeds
        if deed.whom == order.name and deed.what in {"refund", "staff"} and (left is None or deed.at <= left)
    ]  # fmt: skip
    taken = [
        each for each in paid
        if each.dispute == "lost" and each.ended is not None and (left is None or each.ended <= left)
    ]  # fmt: skip
    total = sum(each.amount for each in paid)
    if left is None:
        back = sum(each.back for each in paid) + told.failed.get(order.name, 0)
    else:
        back = sum(deed.amount for deed in given)
    kept = total - back - sum(each.amount for each in taken)
    if (given and kept <= 0) or (taken and kept < order.unit):
        return min([each.ended for each in taken if each.ended is not None] + [deed.at for deed in given])
    return None


def _of_money(order: Order, paid: list[Money], mine: list[Claim], deeds: list[Deed], told: Told) -> list[str]:
    total, back = sum(each.amount for each in paid), sum(each.back for each in paid)
    wrong = [f"R77 {order.name}: {back} back of {total}"] if back > total else []
    if back != told.back.get(order.name, 0):
        wrong.append(f"I10 {order.name}: Stripe gave {back} back, we say {told.back.get(order.name, 0)}")
    by_hand, by_staff = (
        sum(deed.amount for deed in deeds if deed.what == what and deed.whom == order.name)
        for what in ("refund", "staff")
    )
    bought = order.unit * len({claim.pupil for claim in mine})
    if any(deed.what == "withdraw" and deed.whom == order.name for deed in deeds):
        bought = by_hand = by_staff = 0
    expected = min(total - bought + by_hand + by_staff, total)
    failed = told.failed.get(order.name, 0)
    owed = back + failed
    # What is given back at Stripe by hand may settle what was owed already, and so may what a bank took.
    lost = sum(each.amount for each in paid if each.dispute == "lost")
    least = max(total - bought + by_staff, by_hand) if by_hand else expected
    if not max(least - lost, 0) <= owed <= expected or (owed < expected and not by_hand and not lost):
        wrong.append(f"I12 {order.name}: paid {total}, bought {bought}, so {expected} goes back, and {owed} does")
    if failed and owed + lost > total:
        wrong.append(f"R77 {order.name}: {failed} is to be sent, of {total}, though a bank took {lost}; {back} is back")
    return wrong


def _of_cases(order: Order, paid: list[Money], told: Told) -> list[str]:
    wrong: list[str] = []
    disputes = sum(each.dispute == "open" for each in paid)
    if told.cases.get((order.name, "dispute"), 0) != disputes:
        wrong.append(f"R60 {order.name}: {disputes} open disputes, {told.cases.get((order.name, 'dispute'), 0)} cases")
    waits = told.failed.get(order.name, 0) > 0
    if waits != (told.cases.get((order.name, "bank_transfer"), 0) > 0):
        wrong.append(f"R75 {order.name}: a refund failed: {waits}; somebody is asked to look: {not waits}")
    return wrong


def _overlaps(claims: list[Claim], now: datetime) -> list[str]:
    """Rights that hold from now on. One that ended early may have shared days with money that was heard of later."""
    real = [claim for claim in claims if claim.since < claim.until and claim.until > now]
    return [
        f"I11 {a.pupil}: {a.order} and {b.order} at once"
        for place, a in enumerate(real)
        for b in real[place + 1 :]
        if a.pupil == b.pupil and a.since < b.until and b.since < a.until
    ]
