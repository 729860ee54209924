"""What the product stands on goes while people use it, and processes are asked to stop: nothing lost, nothing twice."""

import random
import signal

import pytest
import redis

from tests.faults.harm import ending, placed_and_paid, setting
from tests.hand import Hand
from tests.living import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def wipe(sandbox: Sandbox, _chance: random.Random) -> bool:
    """The broker forgets all it has: rings under way, queues, counts of limits."""
    try:
        with redis.Redis.from_url(setting(sandbox, "BILLING_BROKER_URL")) as broker:
            return bool(broker.flushall())
    except redis.ConnectionError:
        return False


def test_f13_the_database_dies_again_and_again(hand: Hand, sandbox: Sandbox) -> None:
    """What was acknowledged is there; whoever asked meanwhile was told to come again."""
    placed_and_paid(hand, sandbox, 3, 1.5, ending("database"), ending("backend"))


def test_f25_the_broker_dies_or_forgets_everything(hand: Hand, sandbox: Sandbox) -> None:
    """Rows are the truth; a lost ring costs until the next of beat."""
    placed_and_paid(hand, sandbox, 4, 0.7, ending("broker"), wipe, doubts=0)


def test_f05_workers_and_web_are_asked_to_stop_again_and_again(hand: Hand, sandbox: Sandbox) -> None:
    """As in a rolling restart: what is in flight is finished, and no letter is ever in doubt."""
    placed_and_paid(hand, sandbox, 5, 0.7, ending("worker", signal.SIGTERM), ending("web", signal.SIGTERM), doubts=0)
