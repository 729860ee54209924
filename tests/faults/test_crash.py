"""kill -9 of worker children, the worker itself and the web, while they work: nothing lost, nothing done twice."""

import pytest

from tests.family import DAY, MINUTE, morning
from tests.faults.harm import come_back, each_told_once, ending, harming, placed_and_paid, until_harmed
from tests.hand import Hand
from tests.living import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_killed_while_sending_notices(hand: Hand, sandbox: Sandbox) -> None:
    """F03, F04, R27, I18, I19: pool children and the worker itself die while thirty families are told."""
    families = [hand.family("powiadomienie") for _ in range(30)]
    hand.to(morning(families[0].day - 10 * DAY) - MINUTE)
    with harming(sandbox, 1, 0.25, ending("child"), ending("child"), ending("worker")) as done:
        hand.advance("PT2M")
        more = [hand.register("potwierdzenie", email_confirmed=False) for _ in range(30)]
        until_harmed(done, 5)
    come_back(hand)
    each_told_once(hand, families, "Od ")
    each_told_once(hand, more, "Potwierdź swój adres")
    for family in families:
        assert [one["state"] for one in hand.notices(family)] == ["handed_over"]
        assert hand.trial(family)["notice"]["state"] == "handed_over"
        assert hand.allows(family) == (True, "trial")


def test_killed_while_orders_are_placed_and_paid(hand: Hand, sandbox: Sandbox) -> None:
    """F01, F02, I11, I12, I21: web and workers die between the click and the right; one order, page, right, letter."""
    placed_and_paid(hand, sandbox, 2, 0.6, ending("web"), ending("child"), ending("worker"))
