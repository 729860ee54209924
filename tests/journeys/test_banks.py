"""Banks that take their time, events that get lost, doubled and shuffled, and a Stripe that does not answer."""

import pytest

from tests.family import DAY, PASS_PRICE, Family, plain
from tests.hand import Hand

pytestmark = pytest.mark.slow


def paid_once(hand: Hand, family: Family, session: str) -> None:
    """One right, one confirmation, nothing given back: however often and in whatever order we were told."""
    assert hand.allows(family) == (True, "paid")
    assert [one["state"] for one in hand.orders(family)] == ["paid"]
    assert [row["amount"]["amount"] for row in hand.orders(family)[0]["payments"]] == [PASS_PRICE]
    assert len(hand.passes(family)) == 1
    assert hand.refunds(session) == []
    hand.letter(family.email, "Potwierdzenie zawarcia umowy")


def test_a_blik_payment_that_waits_a_day_grants_only_when_the_bank_says_yes(hand: Hand) -> None:
    """R53, R55, I03, F37: completed is not paid; the page says so; a second click leads to the order."""
    adam = hand.family("adam")
    link = hand.new_link(adam)
    session = hand.to_pay(link)
    order_page = hand.pay_page(session, "blik", "pending")
    hand.drain()
    assert hand.allows(adam) == (True, "trial")
    assert hand.passes(adam) == []
    assert "Oczekujemy na potwierdzenie płatności" in plain(hand.open(order_page).text)
    assert hand.click(link).headers["location"] == order_page
    hand.advance("P1D")
    assert [one["state"] for one in hand.orders(adam)] == ["pending"]
    hand.settle(session, "succeeded")
    hand.drain()
    paid_once(hand, adam, session)


def test_a_blik_payment_that_fails_after_a_day_grants_nothing_and_a_kind_mail_comes(hand: Hand) -> None:
    """R53, F37: the order has failed; the letter carries a new link, and paying by it works."""
    igor = hand.family("igor")
    session = hand.to_pay(hand.new_link(igor))
    order_page = hand.pay_page(session, "blik", "pending")
    hand.advance("P1D")
    hand.settle(session, "failed")
    hand.drain()
    assert hand.allows(igor) == (True, "trial")
    assert [one["state"] for one in hand.orders(igor)] == ["failed"]
    assert "Nic nie zostało pobrane" in plain(hand.open(order_page).text)
    letter = hand.letter(igor.email)
    again = hand.to_pay(hand.link_in(letter))
    hand.pay(again)
    hand.drain()
    assert hand.allows(igor) == (True, "paid")
    assert sorted(one["state"] for one in hand.orders(igor)) == ["failed", "paid"]


def test_a_declined_payment_may_be_tried_again_on_the_same_page(hand: Hand) -> None:
    """R34, R53: nothing is lost by a refusal of the bank."""
    lena = hand.family("lena")
    link = hand.new_link(lena)
    session = hand.to_pay(link)
    hand.pay(session, "card", "declined")
    hand.drain()
    assert hand.allows(lena) == (True, "trial")
    assert hand.to_pay(link) == session
    hand.pay(session, "card")
    hand.drain()
    paid_once(hand, lena, session)


def test_when_no_event_comes_the_sweep_finds_the_payment_within_minutes(hand: Hand) -> None:
    """R56, I02, F34: all events are lost; what was paid counts all the same, once."""
    nina = hand.family("nina")
    hand.stripe_fault(webhooks="drop")
    session = hand.to_pay(hand.new_link(nina))
    hand.pay(session)
    hand.advance("PT10M")
    paid_once(hand, nina, session)
    hand.stripe_fault(webhooks="normal")
    hand.advance("P2D")
    paid_once(hand, nina, session)


@pytest.mark.parametrize("mode", ["duplicate", "reorder", "hold"])
def test_doubled_shuffled_and_held_events_end_the_same(hand: Hand, mode: str) -> None:
    """R54, I01, F36: a payment that waits and then succeeds, told of twice, backwards, or all at once an hour later."""
    mila = hand.family(f"mila-{mode}")
    hand.stripe_fault(webhooks=mode)
    session = hand.to_pay(hand.new_link(mila))
    hand.pay(session, "blik", "pending")
    hand.drain()
    hand.settle(session, "succeeded")
    hand.advance("PT1H")
    hand.stripe_fault(webhooks="normal")
    hand.advance("PT1H")
    paid_once(hand, mila, session)


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "error_500", "rate_limit", "unauthorized"])
def test_when_stripe_fails_at_the_click_the_page_is_polite_and_the_link_lives(hand: Hand, fault: str) -> None:
    """R136, I14, I15, F27-F31: never two payment pages, never a key with two bodies, never a used-up link."""
    kuba = hand.family(f"kuba-{fault.replace('_', '-')}")
    link = hand.new_link(kuba)
    hand.stripe_fault(api=fault)
    failed = hand.click(link)
    assert failed.status_code == 503
    assert int(failed.headers["retry-after"]) > 0
    assert "Traceback" not in failed.text
    assert link.rpartition("/")[2] in failed.text, "the way back"
    assert hand.open(link).status_code == 200

    hand.stripe_fault(api="normal")
    session = hand.to_pay(link)
    assert hand.to_pay(link) == session
    assert len(hand.orders(kuba)) == 1
    sent = hand.sessions_opened(kuba)
    assert len({one["idempotency_key"] for one in sent if one["status"] == 200}) == 1
    bodies = {(one["idempotency_key"], str(one["form"])) for one in sent}
    assert len(bodies) == len({key for key, _ in bodies})
    hand.pay(session)
    hand.drain()
    paid_once(hand, kuba, session)


def test_a_payment_made_while_stripe_cannot_be_asked_counts_once_it_answers(hand: Hand) -> None:
    """F33, R56: events come, but reading back fails for an hour; nothing is granted on hearsay, nothing is lost."""
    iza = hand.family("iza")
    session = hand.to_pay(hand.new_link(iza))
    hand.pay(session)
    hand.stripe_fault(api="error_500")
    hand.advance("PT1H")
    told = hand.allows(iza)
    hand.stripe_fault(api="normal")
    hand.advance("PT2H")
    paid_once(hand, iza, session)
    assert told[0] is True
    hand.to(hand.now() + DAY)
    paid_once(hand, iza, session)
