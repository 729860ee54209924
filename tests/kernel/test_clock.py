"""One clock (R130): the machine's, one that stands, and one that processes share and move."""

import mmap
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep

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


_READER = """
import mmap, os, struct, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from billing.kernel.clock import SharedClock
clock, latest = SharedClock(Path(sys.argv[1])), mmap.mmap(os.open(sys.argv[2], os.O_RDWR), 8)
last, parent = 0, os.getppid()
while os.getppid() == parent:
    last = max(last, (clock.now() - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    latest[:8] = struct.pack("<q", last)
"""


@pytest.fixture
def latest(path: Path) -> Iterator[mmap.mmap]:
    """The latest instant that another process was told, in microseconds since 1970; it looks all the time."""
    SharedClock(path)
    paper = path.with_name("latest")
    paper.write_bytes(bytes(8))
    with paper.open("r+b") as file, subprocess.Popen([sys.executable, "-c", _READER, str(path), str(paper)]) as reader:
        told = mmap.mmap(file.fileno(), 8)
        while told[:] == bytes(8):
            sleep(0.01)
        yield told
        reader.kill()


def test_nobody_was_told_a_later_instant_than_the_one_at_which_the_clock_is_stopped(
    path: Path, latest: mmap.mmap
) -> None:
    """What is written down as due at an instant is then due for whoever stopped the clock, and not a moment later."""
    clock = SharedClock(path)
    for _ in range(500):
        clock.stop()
        stands = clock.now()
        sleep(0.0005)
        (told,) = struct.unpack("<q", latest[:8])
        assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=told) <= stands == clock.now()
        clock.stop()
        assert clock.now() == stands, "it is stopped already"
        clock.release()
        sleep(0.0005)
