"""What the product stands on goes while people use it, and processes are asked to stop: nothing lost, nothing twice."""

import contextlib
import os
import random
import re
import signal
from collections.abc import Generator, Sequence

import pytest
import redis

from tests.faults.harm import ending, persistently, pids_of, placed_and_paid, setting
from tests.hand import Hand
from tests.living import Sandbox
from tests.waiting import until

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


def test_f57_the_disk_of_the_log_is_full(hand: Hand, sandbox: Sandbox) -> None:
    """What people do does not depend on what is told of it; what was not told is counted."""
    with unwritable(hand, sandbox, ("web", "worker", "beat")):
        placed_and_paid(hand, sandbox, 6, 1.5, ending("web"), ending("child"))
        counted = re.findall(r"^billing_log_lines_lost_total\S* (.+)$", hand.open("/metrics").text, re.MULTILINE)
        assert sum(map(float, counted)) > 100


@contextlib.contextmanager
def unwritable(hand: Hand, sandbox: Sandbox, names: Sequence[str]) -> Generator[None]:
    """While the block runs, nothing can be written into the logs of these processes, which are killed for it."""
    logs = [path for path in (sandbox.folder / "logs").iterdir() if path.stem.startswith(tuple(names))]
    aside = {log: log.rename(log.with_name(f"{log.name}.aside")) for log in logs}
    for log in logs:
        log.symlink_to("/dev/full")
    begin_anew(hand, sandbox, names)
    try:
        yield
    finally:
        for log, whole in aside.items():
            whole.replace(log)
        begin_anew(hand, sandbox, names)


def begin_anew(hand: Hand, sandbox: Sandbox, names: Sequence[str]) -> None:
    """Kill these processes and all below them; others take their place."""
    before = {pid for name in names for pid in pids_of(sandbox, name)}
    for pid in before:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: all({*pids_of(sandbox, name)} - before for name in names), "they do not come back", 60)
    persistently(lambda: hand.open("/readyz"), [200])
