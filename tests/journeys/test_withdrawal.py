"""A parent changes her mind: the whole way from the bill to the money back, with nothing but a link and a browser."""

import re

import pytest

from tests.family import DAY, MINUTE, midnight, plain
from tests.hand import Hand

pytestmark = pytest.mark.slow

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def test_who_pays_and_withdraws_has_the_money_back_and_the_basic_version_at_once(hand: Hand) -> None:
    """R69, R70, R71, R74, R78: pay, withdraw in two steps, mail at once, add-ons off at once, money back, page."""
    wanda = hand.family("wanda")
    hand.to(midnight(wanda.day) + DAY)
    assert hand.allows(wanda) == (False, "trial_ended")
    session = hand.to_pay(hand.new_link(wanda))
    order_page = hand.pay_page(session, "blik", "succeeded")
    hand.drain()
    assert hand.allows(wanda) == (True, "paid")
    confirmation = hand.letter(wanda.email, "Potwierdzenie zawarcia umowy")
    assert "Odstąp od umowy tutaj" in confirmation["text"]
    way = f"{order_page}/withdrawal"
    assert way in confirmation["text"]
    assert hand.link_in(confirmation, "/orders/") == order_page
    assert "Odstąp od umowy tutaj" in hand.open(order_page).text

    hand.to(hand.now() + 5 * DAY)
    form = hand.open(way)
    assert (form.status_code, "Odstąpienie od umowy" in form.text) == (200, True)
    second = hand.send(way, lang="pl", name="Wanda Żółć", contact=wanda.email)
    assert "Potwierdź odstąpienie od umowy" in second.text
    assert hand.allows(wanda) == (True, "paid"), "nothing happens before the second button"

    done = hand.send(way, **dict(_HIDDEN.findall(second.text)))
    assert done.status_code == 200
    assert hand.allows(wanda) == (False, "withdrawn")
    hand.drain()
    letter = hand.letter(wanda.email, "Potwierdzenie odstąpienia od umowy")
    assert re.search(r"godz\. \d{1,2}:\d\d CES?T", plain(letter["text"]))
    for part in ("Wanda Żółć", wanda.email, "44,99 zł"):
        assert part in plain(letter["text"]), part
    (refund,) = hand.refunds(session)
    assert (refund["amount"], refund["status"]) == (4499, "succeeded")
    assert "Powód: odstąpienie od umowy." in plain(hand.open(order_page).text)
    assert "Odstąp od umowy tutaj" not in hand.open(order_page).text
    assert [one["state"] for one in hand.passes(wanda)] == ["withdrawn"]

    assert hand.send(way, **dict(_HIDDEN.findall(second.text))).text == done.text
    hand.to(hand.now() + 30 * DAY)
    assert len(hand.refunds(session)) == 1
    assert len(hand.letters(wanda.email, "Potwierdzenie odstąpienia od umowy")) == 1


def test_after_the_last_day_it_is_politely_too_late(hand: Hand) -> None:
    """R72, R81: the form opened in time is sent in the first minute of the day after."""
    zofia = hand.family("zofia")
    session = hand.to_pay(hand.new_link(zofia))
    order_page = hand.pay_page(session, "card", "succeeded")
    hand.drain()
    way = f"{order_page}/withdrawal"
    second = hand.send(way, lang="pl", name="Zofia", contact=zofia.email)
    hand.to(hand.now() + 25 * DAY + MINUTE)
    assert "Odstąp od umowy tutaj" not in hand.open(order_page).text
    late = hand.send(way, **dict(_HIDDEN.findall(second.text)))
    assert "Termin na odstąpienie od umowy minął" in plain(late.text)
    hand.drain()
    assert hand.refunds(session) == []
    assert hand.allows(zofia) == (True, "paid")
    assert "możesz złożyć reklamację" in plain(hand.letter(zofia.email, "Odstąpienie po terminie")["text"])
