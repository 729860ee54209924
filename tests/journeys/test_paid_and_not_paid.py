"""The two stories everybody lives through: a parent who pays once, and a parent who does not."""

from datetime import timedelta

import pytest

from tests.family import ADD_ONS, DAY, MINUTE, MOMENT, instant, midnight, morning, plain, polish, season_end
from tests.hand import Hand

pytestmark = pytest.mark.slow


def pay_with_the_news_held(hand: Hand, link: str) -> str:
    """The order page, the click, BLIK; Stripe's news is held, so the way back can only say that we wait (R55)."""
    page = hand.open(link)
    assert page.status_code == 200
    for part in ("Zamawiam i płacę", "44,99 zł", polish(season_end(hand.now())), "nie odnawia się automatycznie"):
        assert part in plain(page.text), part
    session = hand.to_pay(link)
    hand.stripe_fault(webhooks="hold")
    order_page = hand.pay_page(session, "blik", "succeeded")
    assert "Oczekujemy na potwierdzenie płatności" in plain(hand.open(order_page).text)
    return order_page


def test_a_parent_who_pays_once_has_everything_until_30_june_and_is_never_asked_again(hand: Hand) -> None:
    """R5, R16, R20, R22, R46, R53, R55, R126: register, trial, mail that names the day, link, page, BLIK, right."""
    anna = hand.family("anna")
    day = anna.day
    assert anna.trial["ends_at"] == midnight(day).isoformat().replace("+00:00", "Z")
    assert hand.allows(anna) == (True, "trial")
    assert hand.answer(anna)["valid_until"] == anna.trial["ends_at"]
    made = hand.asked(method="POST")

    hand.to(morning(day - 10 * DAY) + MINUTE)
    letter = hand.letter(anna.email)
    assert instant(letter["sent_at"]) == morning(day - 10 * DAY)
    assert f"Od {polish(day)}" in plain(letter["subject"])
    for part in ("44,99 zł", polish(day), polish(season_end(hand.now())), "Nic nie zostanie pobrane"):
        assert part in plain(letter["text"]), part
        assert part in plain(letter["html"]), part
    assert hand.trial(anna)["notice"]["state"] == "handed_over"
    assert hand.asked(method="POST") == made, "a trial alone asks nothing of Stripe (R16)"

    link = hand.link_in(letter)
    order_page = pay_with_the_news_held(hand, link)
    assert hand.allows(anna) == (True, "trial")

    hand.stripe_fault(webhooks="normal")
    hand.drain()
    ends = midnight(season_end(hand.now()) + DAY)
    assert hand.allows(anna) == (True, "paid")
    assert hand.allows(anna, at=ends - MOMENT) == (True, "paid")
    assert hand.allows(anna, at=ends) == (False, "pass_expired")
    assert polish(season_end(hand.now())) in plain(hand.open(order_page).text)
    confirmation = hand.letter(anna.email, "Potwierdzenie zawarcia umowy")
    assert len(confirmation["attachments"]) >= 1
    assert hand.open(link).status_code == 410
    assert hand.trial(anna)["state"] == "converted"

    hand.to(midnight(day) + MINUTE)
    assert hand.allows(anna) == (True, "paid")
    assert hand.answer(anna)["valid_until"] == ends.isoformat().replace("+00:00", "Z")
    (one,) = hand.passes(anna)
    assert (one["state"], one["kind"], one["will_renew"]) == ("active", "season_pass", False)
    assert len(hand.letters(anna.email)) == 2


def test_a_parent_who_does_not_pay_is_back_on_the_basic_version_at_the_very_instant_told(hand: Hand) -> None:
    """R9, R10, R11, R17, R20, R131, I05: by asking ahead at −1 ms, 0 and +1 ms, and by letting the time come."""
    olga = hand.family("olga")
    ends = midnight(olga.day)
    hand.to(morning(olga.day - 10 * DAY) + MINUTE)
    hand.letter(olga.email)
    for span, expected in (
        (-MOMENT, (True, "trial")),
        (timedelta(0), (False, "trial_ended")),
        (MOMENT, (False, "trial_ended")),
    ):
        assert hand.allows(olga, at=ends + span) == expected, span

    hand.to(ends - MINUTE)
    before = hand.answer(olga)
    assert (before["allowed"], before["reason"], instant(before["valid_until"])) == (True, "trial", ends)
    assert instant(before["as_of"]) < ends
    hand.to(ends)
    for feature in ADD_ONS:
        after = hand.answer(olga, feature=feature)
        assert (after["allowed"], after["reason"], after["reverts_to"]) == (False, "trial_ended", "basic")
        assert after["free_in_browser"] is True
        assert after["valid_until"] is None
        assert hand.answer(olga, feature=feature, channel="web")["reason"] == "browser"
    assert hand.answer(olga, feature="grades")["reason"] == "basic"
    assert hand.trial(olga)["state"] == "ended"
    assert hand.orders(olga) == []
    assert len(hand.letters(olga.email)) == 1


def test_the_way_back_is_open_after_the_trial(hand: Hand) -> None:
    """R32: the mailed link lives on until fourteen days after the trial's end; paying then brings everything back."""
    ewa = hand.family("ewa")
    hand.to(morning(ewa.day - 10 * DAY) + MINUTE)
    link = hand.link_in(hand.letter(ewa.email))
    hand.to(midnight(ewa.day) + DAY)
    assert hand.allows(ewa) == (False, "trial_ended")
    hand.pay(hand.to_pay(link), "p24")
    hand.drain()
    assert hand.allows(ewa) == (True, "paid")
