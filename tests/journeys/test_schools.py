"""A school's block wins over every right, for its own pupils, and nobody is sold what the school has blocked."""

import pytest

from tests.family import ADD_ONS, plain
from tests.hand import Hand

pytestmark = pytest.mark.slow


def test_a_pupil_whose_school_blocks_everything_cannot_be_sold_anything(hand: Hand) -> None:
    """R13: the page says so, an order is refused, and Stripe is not asked."""
    ida = hand.family("ida")
    link = hand.new_link(ida)
    page = hand.open(link).text
    hand.block(ida.school, *ADD_ONS)
    asked = hand.asked()
    assert "Zamawiam" not in hand.open(link).text
    assert hand.click(link, page).status_code == 409
    assert hand.asked() == asked
    assert hand.orders(ida) == []
    assert hand.allows(ida) == (False, "blocked_by_school")


def test_a_part_blocked_before_is_named_before_the_order(hand: Hand) -> None:
    """R12, R13: the page lists it; the rest works, what is blocked does not, though it is paid."""
    iga = hand.family("iga")
    hand.block(iga.school, "messages")
    link = hand.new_link(iga)
    assert "zablokował" in plain(hand.open(link).text)
    hand.pay(hand.to_pay(link))
    hand.drain()
    assert hand.allows(iga) == (False, "blocked_by_school")
    rest = hand.answer(iga, feature="homework")
    assert (rest["allowed"], rest["reason"]) == (True, "paid")
    assert hand.answer(iga, channel="web")["allowed"] is True


def test_a_block_after_the_purchase_stops_the_feature_and_not_the_pass(hand: Hand) -> None:
    """R12: paid and blocked is blocked; lifted again it is paid, and the pass was there all the time."""
    maja = hand.family("maja")
    hand.pay(hand.to_pay(hand.new_link(maja)))
    hand.drain()
    assert hand.allows(maja) == (True, "paid")
    hand.block(maja.school, "messages")
    told = hand.answer(maja)
    assert (told["allowed"], told["reason"], told["sources"][0]["source"]) == (False, "blocked_by_school", "paid")
    assert hand.passes(maja)[0]["state"] == "active"
    hand.block(maja.school)
    assert hand.allows(maja) == (True, "paid")
