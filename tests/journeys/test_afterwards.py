"""What the journeys leave behind: at Stripe, in the logs, and in the folder when the sandbox is started again."""

import re

import pytest

from tests.gateway.description import needs_description
from tests.hand import Hand
from tests.living import Sandbox

pytestmark = pytest.mark.slow


@needs_description
def test_all_that_was_asked_of_stripe_is_what_stripe_describes(hand: Hand, sandbox: Sandbox) -> None:
    """Every request, answer, event and object by Stripe's own description; no key ever had two bodies (I14)."""
    family = hand.family("porzadek")
    hand.pay(hand.to_pay(hand.new_link(family)), "card")
    hand.drain()
    assert sandbox.faults() == []
    page = hand.sessions_opened(family)[-1]["form"]
    assert page["mode"] == "payment"
    assert "setup_future_usage" not in str(page)
    assert page["allowed_payment_method_types"] == ["blik", "p24", "card"]


def test_no_personal_data_reaches_stripe_or_the_logs(hand: Hand, sandbox: Sandbox) -> None:
    """R37, R38, I28: canaries in every field a caller can fill, and the tokens of every link."""
    family = hand.register("kanarek", email="kanarek.zolty@canary.example")
    hand.link(family, "kanarek-uczen-77")
    family.school = "kanarek-szkola-88"
    hand.link(family, "kanarek-uczen-77", expect=200)
    waiting = hand.register("kanarek-nowy", email="kanarek.modry@canary.example", email_confirmed=False)
    hand.drain()
    link = hand.new_link(family)
    order_page = hand.pay_page(hand.to_pay(link), "blik", "succeeded")
    hand.drain()
    confirm = hand.link_in(hand.letter(waiting.email), "/confirm/")
    for url in (link, order_page, confirm, f"{link}x", f"{order_page}?token=canary-query"):
        hand.open(url)
    hand.api("GET", f"/v1/accounts/{family.account}/pupils/canary-path", expect=None)
    canaries = ["canary.example", "kanarek-uczen-77", "kanarek-szkola-88", "canary-query"]
    assert [word for word in [*canaries, family.account] if word in str(hand.asked())] == []
    tokens = [url.rpartition("/")[2] for url in (link, order_page, confirm)]
    logs = sandbox.log()
    assert [word for word in [*canaries, *tokens, sandbox_key(sandbox)] if word in logs] == []
    assert not re.search(r"[\w.+-]+@rodzice\.example", logs)


def sandbox_key(sandbox: Sandbox) -> str:
    return (sandbox.folder / "api-key").read_text(encoding="utf-8").strip().rpartition("_")[2]


def test_a_restart_finds_everything_again(hand: Hand, sandbox: Sandbox) -> None:
    """Contract 1 and 8: Ctrl-C stops everything it started with no orphan; the next start finds data, clock, mail."""
    family = hand.family("wraca")
    link = hand.new_link(family)
    session = hand.to_pay(link)
    hand.pay(session, "blik", "pending")
    hand.drain()
    before = hand.now()
    letters = len(hand.letters(""))
    children = sandbox.processes("")
    assert len(children) > 5
    assert sandbox.stop() == 0
    assert [pid for pid in children if sandbox.lives(pid)] == []

    sandbox.start()
    with sandbox.hand() as again:
        assert again.now() >= before
        assert len(again.letters("")) == letters
        assert again.allows(family) == (True, "trial")
        again.settle(session, "succeeded")
        again.drain()
        assert again.allows(family) == (True, "paid")
