"""Several pupils, several parents: one mail, one order with lines, one right for each pupil, no money twice."""

import pytest

from tests.family import DAY, MINUTE, PASS_PRICE, Family, midnight, morning, plain, season_end
from tests.hand import Hand

pytestmark = pytest.mark.slow


def two_parents(hand: Hand) -> tuple[Family, Family]:
    """Two accounts linked to the same pupil."""
    anna = hand.family("anna")
    piotr = hand.register("piotr")
    hand.link(piotr, anna.pupil)
    return anna, piotr


def test_three_pupils_get_one_mail_and_the_one_who_is_covered_is_not_sold_twice(hand: Hand) -> None:
    """R2, R24, R48: one mail for the day; two lines and twice the price, the third pupil named as active already."""
    marta = hand.family("marta", pupils=3)
    other = hand.register("drugi")
    hand.link(other, marta.pupils[1])
    hand.to(morning(marta.day - 10 * DAY) + MINUTE)
    letter = hand.letter(marta.email)
    assert [(one["pupils"], one["state"]) for one in hand.notices(marta)] == [(sorted(marta.pupils), "handed_over")]
    assert "Liczba uczniów, których to dotyczy: 3." in plain(letter["text"])

    hand.pay(hand.to_pay(hand.new_link(other)))
    hand.drain()
    assert [hand.allows(marta, pupil)[1] for pupil in marta.pupils] == ["trial", "paid", "trial"]

    link = hand.link_in(letter)
    page = plain(hand.open(link).text)
    assert "2 × 44,99 zł" in page
    assert "89,98 zł" in page
    assert "1 uczeń: dostęp opłacony" in page
    session = hand.to_pay(link)
    lines = hand.sessions_opened(marta)[0]["form"]["line_items"]
    assert [(line["quantity"], line["price_data"]["unit_amount"]) for line in lines] == [("2", str(PASS_PRICE))]
    hand.pay(session, "p24")
    hand.drain()
    assert [hand.allows(marta, pupil)[1] for pupil in marta.pupils] == ["paid", "paid", "paid"]
    order = hand.orders(marta)[0]
    assert order["total"] == {"amount": 2 * PASS_PRICE, "currency": "PLN"}
    assert order["pupils"] == [marta.pupils[0], marta.pupils[2]]


def test_pupils_with_different_days_are_told_of_in_a_mail_for_each_day(hand: Hand) -> None:
    """R24: with different D's, one mail for each D."""
    ola = hand.family("ola")
    first = ola.day
    hand.advance("P1D")
    hand.link(ola)
    second = ola.day
    assert second - first == DAY
    hand.to(morning(second - 10 * DAY) + MINUTE)
    told = [(one["day"], one["pupils"]) for one in hand.notices(ola)]
    assert told == [(first.isoformat(), [ola.pupils[0]]), (second.isoformat(), [ola.pupils[1]])]
    assert len(hand.letters(ola.email)) == 2


def test_when_one_parent_pays_the_other_is_not_reminded_and_reads_that_it_is_active(hand: Hand) -> None:
    """R1, R25, R30, R87, I20: B's letter waits for the mail server, A pays, B's letter is dropped."""
    anna, piotr = two_parents(hand)
    hand.mail_fault("tempfail", only_to=piotr.email)
    hand.to(morning(anna.day - 10 * DAY) + MINUTE)
    hand.pay(hand.to_pay(hand.link_in(hand.letter(anna.email))))
    hand.drain()
    hand.mail_fault("normal")
    hand.advance("PT2H")
    assert hand.letters(piotr.email) == []
    assert [one["state"] for one in hand.notices(piotr)] == ["dropped"]

    assert hand.allows(anna) == hand.allows(piotr) == (True, "paid")
    page = hand.open(hand.new_link(piotr))
    assert page.status_code == 200
    assert "aktywn" in plain(page.text)
    assert "Zamawiam" not in page.text
    seen = hand.passes(piotr)[0]
    assert seen["until"] == midnight(season_end(hand.now()) + DAY).isoformat().replace("+00:00", "Z")
    assert seen["order"] is None
    assert anna.account not in str(seen)
    assert anna.email not in page.text


def test_the_second_of_two_payments_goes_back_in_full_by_itself_and_both_are_told(hand: Hand) -> None:
    """R49, I11, I12: both had a payment page open; one right, one refund of everything, two mails. Two workers may hear
    of them in either order: the one heard of second goes back."""
    parents = two_parents(hand)
    pages = [hand.to_pay(hand.new_link(parent)) for parent in parents]
    for page in pages:
        hand.pay(page)
    hand.advance("PT5M")
    given_back = [[(row["amount"], row["status"]) for row in hand.refunds(page)] for page in pages]
    assert sorted(given_back) == [[], [(PASS_PRICE, "succeeded")]]
    buyer, refunded = parents if given_back[1] else reversed(parents)
    assert [len(hand.passes(parent)) for parent in parents] == [1, 1]
    hand.letter(buyer.email, "Potwierdzenie zawarcia umowy")
    assert "44,99 zł" in plain(hand.letter(refunded.email)["subject"])
    assert hand.allows(refunded) == (True, "paid")


def test_unlinking_takes_the_right_from_the_account_and_linking_brings_it_back(hand: Hand) -> None:
    """R3, R18: neither what was bought nor the trial changes; a new account finds the old trial."""
    anna, piotr = two_parents(hand)
    ends = anna.trial["ends_at"]
    hand.advance("P2D")
    pupil = anna.pupil
    for parent in (anna, piotr):
        hand.unlink(parent, pupil)
        assert hand.allows(parent, pupil) == (False, "not_linked")
    hand.advance("P1D")
    assert hand.link(anna, pupil)["ends_at"] == ends
    hand.api("DELETE", f"/v1/accounts/{anna.account}", expect=202)
    fresh = hand.register("nowe-konto")
    assert hand.link(fresh, pupil)["ends_at"] == ends
    hand.pay(hand.to_pay(hand.new_link(fresh)))
    hand.drain()
    orders = hand.orders(fresh)
    hand.unlink(fresh, pupil)
    assert hand.allows(fresh, pupil) == (False, "not_linked")
    hand.link(fresh, pupil)
    assert hand.allows(fresh) == (True, "paid")
    assert hand.orders(fresh) == orders


def test_one_who_is_erased_and_pays_late_gets_the_money_back(hand: Hand) -> None:
    """R57, R88: the payment page outlives the account; the money does not stay, and nobody gets a right."""
    zofia = hand.family("zofia")
    session = hand.to_pay(hand.new_link(zofia))
    hand.pay(session, "blik", "pending")
    hand.drain()
    hand.api("DELETE", f"/v1/accounts/{zofia.account}", expect=202)
    before = len(hand.letters(zofia.email))
    hand.settle(session, "succeeded")
    hand.advance("PT5M")
    assert [(row["amount"], row["status"]) for row in hand.refunds(session)] == [(PASS_PRICE, "succeeded")]
    assert len(hand.letters(zofia.email)) == before, "nobody is left to write to"
    again = hand.register("zofia-po-latach")
    hand.link(again, zofia.pupil)
    assert hand.allows(again)[1] == "trial"
