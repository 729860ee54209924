"""The calendar: both changes of the clock, June, the end of the season, a year in which nobody does anything."""

from collections.abc import Iterator
from datetime import date

import pytest

from tests.family import MINUTE, MOMENT, Family, instant, midnight, morning, plain, polish
from tests.hand import Hand
from tests.living import Sandbox, running, utc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def of_february() -> Iterator[Sandbox]:
    """A sandbox of one's own in which it is 26 February 2027, 10:00 in Warsaw, when it is ready."""
    with running(starts_at=utc(2027, 2, 26, 9)) as sandbox:
        yield sandbox
        assert sandbox.faults() == []


@pytest.fixture
def february(of_february: Sandbox) -> Iterator[Hand]:
    """Somebody who uses it."""
    with of_february.hand() as one:
        yield one


def falls_back_at(hand: Hand, family: Family, ends: str) -> None:
    """The trial ends at exactly this instant, asked ahead and lived through."""
    assert family.trial["ends_at"] == ends
    at = instant(ends)
    assert hand.allows(family, at=at - MOMENT) == (True, "trial")
    assert hand.allows(family, at=at) == (False, "trial_ended")
    hand.to(at - MINUTE)
    assert hand.allows(family) == (True, "trial")
    hand.to(at)
    assert hand.allows(family) == (False, "trial_ended")


def test_a_year_with_its_seasons(of_february: Sandbox, february: Hand) -> None:
    """R17, R63: one calendar, in the order in which it happens; who bought nothing is charged for nothing. On a machine
    with nothing else to do the year takes less than two minutes: it is less than two minutes of work."""
    begun = of_february.work()
    assert february.now().date() == date(2027, 2, 26)
    before = february.balance()
    payer = spring(february)
    june = summer(february, payer)
    autumn(february)
    charges = february.balance()
    february.to(utc(2028, 2, 26, 9))
    assert february.balance() == charges == (before[0] + 2, before[1])
    assert of_february.work() - begun < 120
    assert february.allows(june, at=utc(2028, 6, 30, 22)) == (False, "pass_expired")
    assert february.answer(june, feature="grades")["allowed"] is True


def spring(hand: Hand) -> Family:
    """R20, R128: a trial that ends on the day with 23 hours, and one on the day after; answers one who paid."""
    short = hand.family("krotki-dzien")
    assert short.day == date(2027, 3, 28)
    hand.to(morning(date(2027, 2, 27), 9))
    after = hand.family("po-krotkim-dniu")
    assert after.day == date(2027, 3, 29)
    payer = hand.family("platnik")
    hand.pay(hand.to_pay(hand.new_link(payer)))
    hand.drain()
    falls_back_at(hand, short, "2027-03-27T23:00:00Z")
    falls_back_at(hand, after, "2027-03-28T22:00:00Z")
    for family, day in ((short, date(2027, 3, 18)), (after, date(2027, 3, 19))):
        letter = hand.letter(family.email)
        assert instant(letter["sent_at"]) == morning(day)
        assert polish(family.day) in plain(letter["text"])
    return payer


def summer(hand: Hand, payer: Family) -> Family:
    """R5, R6, R63, R131: in June the next season is on sale, with its dates; a pass ends on 30 June at 24:00 in Warsaw,
    which is 22:00 UTC, to the millisecond, told of once, a fortnight before; nobody is charged. Answers one who bought
    the next season."""
    hand.to(midnight(date(2027, 6, 1)) - MINUTE)
    june = hand.family("czerwiec")
    link = hand.new_link(june)
    assert polish(date(2027, 6, 30)) in plain(hand.open(link).text)
    stale = hand.open(link).text
    hand.to(midnight(date(2027, 6, 1)))
    page = plain(hand.open(link).text)
    assert polish(date(2028, 6, 30)) in page
    assert polish(date(2027, 7, 1)) in page
    assert polish(date(2027, 6, 30)) not in page
    assert hand.click(link, stale).status_code == 409, "what was shown is not what would be sold now (R85)"
    hand.pay(hand.to_pay(link))
    hand.drain()
    early = hand.passes(june)[0]
    assert (early["since"], early["until"]) == ("2027-06-30T22:00:00Z", "2028-06-30T22:00:00Z")
    assert hand.allows(june) == (True, "trial"), "what was bought begins in July"

    charges = hand.balance()
    assert hand.allows(payer, at=utc(2027, 6, 30, 22) - MOMENT) == (True, "paid")
    hand.to(utc(2027, 6, 30, 22) - MINUTE)
    assert hand.allows(payer) == (True, "paid")
    hand.to(utc(2027, 6, 30, 22))
    assert hand.allows(payer) == (False, "pass_expired")
    assert hand.allows(june) == (True, "paid")
    assert [one["state"] for one in hand.passes(payer)] == ["ended"]
    assert hand.balance() == charges
    told = hand.letter(payer.email, polish(date(2027, 7, 1)))
    assert instant(told["sent_at"]) == morning(date(2027, 6, 16))
    assert polish(date(2028, 6, 30)) in plain(told["text"])
    return june


def autumn(hand: Hand) -> None:
    """R20, R128, R129: a trial that ends on the day with 25 hours, and one on the day after it."""
    hand.to(morning(date(2027, 10, 1), 9))
    long = hand.family("dlugi-dzien")
    assert long.day == date(2027, 10, 31)
    hand.to(morning(date(2027, 10, 2), 9))
    later = hand.family("po-dlugim-dniu")
    assert later.day == date(2027, 11, 1)
    falls_back_at(hand, long, "2027-10-30T22:00:00Z")
    falls_back_at(hand, later, "2027-10-31T23:00:00Z")
