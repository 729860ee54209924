"""One clock (R130): the machine's, one that stands, and one that processes share and move."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.kernel.clock import Clock, FixedClock, SharedClock, SystemClock

DAY = timedelta(days=1)
SOON = timedelta(seconds=20)
AT = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clock"


def test_every_clock_tells_utc(path: Path) -> None:
    clocks: list[Clock] = [SystemClock(), FixedClock(AT), SharedClock(path)]
    assert all(clock.now().tzinfo is UTC for clock in clocks)


def test_a_fresh_shared_clock_tells_the_machines_time(path: Path) -> None:
    before = SystemClock().now()
    assert before <= SharedClock(path).now() <= SystemClock().now()


def test_a_held_clock_stands_to_the_microsecond(path: Path) -> None:
    clock = SharedClock(path)
    wanted = AT + timedelta(microseconds=123_457)
    clock.hold(wanted)
    assert {clock.now() for _ in range(100)} == {wanted}


def test_a_released_clock_runs_on_from_where_it_was_held(path: Path) -> None:
    clock = SharedClock(path)
    clock.hold(AT)
    clock.release()
    first = clock.now()
    assert AT <= first < AT + SOON
    assert clock.now() >= first


def test_releasing_a_running_clock_changes_nothing(path: Path) -> None:
    clock = SharedClock(path)
    clock.hold(AT)
    clock.release()
    clock.release()
    assert AT <= clock.now() < AT + SOON


def test_another_process_sees_the_same_clock(path: Path) -> None:
    clock = SharedClock(path)
    clock.hold(AT)
    program = (
        f"from pathlib import Path; from billing.kernel.clock import SharedClock; c = SharedClock(Path({str(path)!r}))"
    )
    told = subprocess.run(
        [sys.executable, "-c", f"{program}; print(c.now().isoformat()); c.hold(c.now().replace(year=2028))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert datetime.fromisoformat(told.stdout.strip()) == AT
    assert clock.now() == AT.replace(year=2028)


def test_a_clock_that_was_moved_stays_moved_after_a_restart(path: Path) -> None:
    first = SharedClock(path)
    first.hold(AT)
    first.release()
    assert AT <= SharedClock(path).now() < AT + SOON


def test_a_fixed_clock_moves_when_told() -> None:
    clock = FixedClock(AT)
    clock.move(AT + DAY)
    assert clock.now() == AT + DAY
