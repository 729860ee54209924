"""Nobody falls back untold: mail that cannot go, addresses that do not exist, children, people who never confirm."""

from datetime import date, timedelta

import pytest

from tests.family import DAY, MINUTE, MOMENT, WARSAW, instant, midnight, morning, plain, polish
from tests.hand import Hand

pytestmark = pytest.mark.slow

NOTICE_DAYS = 7


def test_while_the_mail_server_is_down_the_trial_runs_on_and_a_later_day_is_told(hand: Hand) -> None:
    """R21, I19, F44: three days before the limit nothing goes through; the day told is at least seven days after."""
    jan = hand.family("jan")
    first = jan.day
    hand.mail_fault("tempfail", only_to=jan.email)
    hand.to(midnight(first - NOTICE_DAYS * DAY) + MINUTE)
    moved = hand.trial(jan)
    assert date.fromisoformat(moved["reverts_on"]) > first
    assert moved["notice"]["state"] == "planned"
    hand.mail_fault("normal")
    hand.to(midnight(first) + DAY)
    assert hand.allows(jan) == (True, "trial")

    letter = hand.letter(jan.email)
    told_at, day = instant(letter["sent_at"]), date.fromisoformat(hand.trial(jan)["reverts_on"])
    assert hand.trial(jan)["notice"]["state"] == "handed_over"
    assert midnight(day) - told_at >= timedelta(days=NOTICE_DAYS)
    assert 8 <= told_at.astimezone(WARSAW).hour < 20
    hand.to(midnight(day) - MINUTE)
    assert hand.allows(jan) == (True, "trial")
    hand.to(midnight(day))
    assert hand.allows(jan) == (False, "trial_ended")
    assert len(hand.letters(jan.email)) == 1


def test_one_parent_told_is_not_enough(hand: Hand) -> None:
    """R21, R30, I19: A was told of the day in time and B was not, so it moves; both are told of the new one."""
    anna = hand.family("anna")
    piotr = hand.register("piotr")
    hand.link(piotr, anna.pupil)
    first = anna.day
    hand.mail_fault("tempfail", only_to=piotr.email)
    hand.to(midnight(first - NOTICE_DAYS * DAY) + MINUTE)
    hand.mail_fault("normal")
    assert len(hand.letters(anna.email)) == 1
    hand.to(midnight(first) + MINUTE)
    assert hand.allows(anna) == hand.allows(piotr) == (True, "trial")
    day = date.fromisoformat(hand.trial(anna)["reverts_on"])
    assert day > first
    for parent, letters in ((anna, 2), (piotr, 1)):
        found = hand.letters(parent.email)
        assert len(found) == letters
        assert polish(day) in plain(found[-1]["text"])
        assert midnight(day) - instant(found[-1]["sent_at"]) >= timedelta(days=NOTICE_DAYS)
    assert hand.allows(piotr, at=midnight(day)) == (False, "trial_ended")


def test_after_three_prolongations_the_trial_runs_on_and_people_must_decide(hand: Hand) -> None:
    """R21: four days pass untold; the notice has failed, nobody has fallen back, nobody was written to."""
    fela = hand.family("fela")
    hand.mail_fault("tempfail", only_to=fela.email)
    days = [fela.day]
    for _ in range(3):
        hand.to(midnight(days[-1] - NOTICE_DAYS * DAY) + MINUTE)
        days.append(date.fromisoformat(hand.trial(fela)["reverts_on"]))
    assert days == sorted(set(days))
    hand.to(midnight(days[-1]) + 2 * DAY)
    trial = hand.trial(fela)
    assert (trial["state"], trial["notice"]["state"]) == ("running", "failed")
    assert hand.allows(fela) == (True, "trial")
    assert hand.letters(fela.email) == []


def test_an_address_that_does_not_exist_is_told_in_the_app_instead(hand: Hand) -> None:
    """R29: a bounce, the flag on the answer, the app shows it, and that counts as told from that moment."""
    rita = hand.family("rita")
    hand.mail_fault("bounce", only_to=rita.email)
    hand.to(morning(rita.day - 10 * DAY) + MINUTE)
    hand.mail_fault("normal")
    hand.drain()
    assert [one["state"] for one in hand.notices(rita)] == ["bounced"]
    assert hand.answer(rita)["notice_pending"] is True
    notice = hand.notices(rita)[0]
    shown = hand.api("POST", f"/v1/notices/{notice['id']}/shown", {})
    assert shown["state"] == "handed_over"
    assert hand.answer(rita)["notice_pending"] is False
    assert hand.letters(rita.email) == [], "nothing more is mailed there"
    assert hand.trial(rita)["reverts_on"] == notice["day"]
    ends = midnight(date.fromisoformat(notice["day"]))
    assert hand.allows(rita, at=ends - MOMENT) == (True, "trial")
    hand.to(ends)
    assert hand.allows(rita) == (False, "trial_ended")


def test_mail_about_a_child_under_13_goes_to_the_guardian_alone(hand: Hand) -> None:
    """R26: the confirmation and the notice; and the guardian must have said yes first."""
    mama = "mama.zosi@rodzice.example"
    zosia = hand.register("zosia", kind="pupil", age_band="under_13", guardian_email=mama, email_confirmed=False)
    hand.link(zosia)
    hand.drain()
    confirm = hand.link_in(hand.letter(mama), "/confirm/")
    assert hand.open(confirm, "POST").status_code in {200, 303}
    assert hand.api("GET", f"/v1/accounts/{zosia.account}")["status"] == "active"
    hand.to(morning(zosia.day - 10 * DAY) + MINUTE)
    assert hand.letters(zosia.email) == []
    assert len(hand.letters(mama)) == 2
    assert hand.trial(zosia)["notice"]["state"] == "handed_over"


@pytest.mark.parametrize("age_band", ["13_17", "under_13"])
def test_a_minors_account_is_asked_to_ask_a_parent(hand: Hand, age_band: str) -> None:
    """R47: the page says so, the click is refused, Stripe is not asked."""
    tata = "tata@rodzice.example"
    teen = hand.family(f"nastolatek-{age_band[:2]}", kind="pupil", age_band=age_band, guardian_email=tata)
    adult = hand.family("dorosla")
    link = hand.new_link(teen)
    shown = plain(hand.open(link).text)
    assert "rodzic" in shown.lower()
    assert "Zamawiam" not in shown
    asked = hand.asked()
    assert hand.click(link, hand.open(hand.new_link(adult)).text).status_code == 403
    assert hand.asked() == asked
    assert hand.orders(teen) == []


def test_an_address_never_confirmed_is_forgotten_with_everything_after_fourteen_days(hand: Hand) -> None:
    """R26, R90: one letter with the link, good to the end of the fourteenth day; then nothing is left."""
    gosia = hand.register("gosia", email_confirmed=False)
    on = hand.now().astimezone(WARSAW).date()
    hand.link(gosia)
    hand.drain()
    link = hand.link_in(hand.letter(gosia.email), "/confirm/")
    hand.to(midnight(on + 15 * DAY) - MINUTE)
    assert hand.open(link).status_code == 200
    assert hand.api("GET", f"/v1/accounts/{gosia.account}")["status"] == "pending"
    hand.to(midnight(on + 15 * DAY))
    hand.api("GET", f"/v1/accounts/{gosia.account}", expect=404)
    assert hand.open(link).status_code in {404, 410}
    hand.api("GET", f"/v1/accounts/{gosia.account}/export", expect=404)
    assert len(hand.letters(gosia.email)) == 1


def test_one_who_confirms_is_told_of_the_trials_end(hand: Hand) -> None:
    """R26: until the address is confirmed no other mail is sent; the click of the button confirms it."""
    ula = hand.register("ula", email_confirmed=False)
    hand.link(ula)
    hand.drain()
    link = hand.link_in(hand.letter(ula.email), "/confirm/")
    assert hand.open(link).status_code == 200
    assert hand.api("GET", f"/v1/accounts/{ula.account}")["status"] == "pending"
    assert hand.open(link, "POST").status_code in {200, 303}
    hand.to(morning(ula.day - 10 * DAY) + MINUTE)
    assert len(hand.letters(ula.email)) == 2
