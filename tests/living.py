"""The whole product, running: one real `billing sandbox` for each test process, and a hand that uses it as people do.

The clock is shared and goes forward only. A story therefore takes the instant it finds, and reads its dates from the
answers (``trial.reverts_on``); every story has accounts of its own. What all stories together have asked of Stripe and
written to the logs is judged when the last one is over.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.sandbox.embedded import die_with_parent
from billing.sandbox.families import LIVED_BEFORE
from tests.gateway.description import audit_store, available
from tests.hand import Hand

_COMPLAINT = re.compile(r'"level": ?"(warning|error|WARNING|ERROR)"')
ROOT = Path(__file__).parents[1]
READY = "The sandbox is ready"
_STARTING = 150.0
_STOPPING = 60.0


def _price(year: int) -> str:
    """That of the season which begins in July of the year, for the shipped catalogue."""
    return f"""[[products.prices]]
season = "{year}/{(year + 1) % 100}"
gross = 4499
vat_rate_percent = 23
valid_from = {year}-06-01
valid_until = {year + 1}-06-01

"""


class Sandbox:
    """One `billing sandbox` in a folder of its own; `starts_at` sets its clock before it first runs."""

    def __init__(self, folder: Path, starts_at: datetime | None = None) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        if starts_at is not None:
            # The demo's families live through some weeks first.
            ahead = starts_at - LIVED_BEFORE - datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - to set a clock
            (folder / "clock").write_bytes(struct.pack("<qq", ahead // timedelta(microseconds=1), 0))

    def start(self) -> None:
        """Starts it and waits until it says that it is ready."""
        told = self.folder / "told.txt"
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("BILLING_", "PYTEST_"))}
        command = [sys.executable, "-m", "billing", "sandbox", "--data-dir", str(self.folder)]
        with told.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=ROOT,
                env={**ours, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "BILLING_CATALOG": str(self._prices())},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one system call, its library at hand
            )
        deadline = time.monotonic() + _STARTING
        while READY not in told.read_text(encoding="utf-8"):
            assert self._process.poll() is None, told.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, told.read_text(encoding="utf-8")
            time.sleep(0.1)

    def _prices(self) -> Path:
        """The shipped catalogue, and the same price for all the seasons that the stories of one run may take."""
        shipped = (ROOT / "billing/catalog/catalog.toml").read_text(encoding="utf-8")
        season_pass, mark, rest = shipped.partition('[[products]]\nkey = "mobile-addons-monthly"')
        assert mark
        catalogue = self.folder / "catalog.toml"
        catalogue.write_text(season_pass + "".join(map(_price, range(2028, 2048))) + mark + rest, encoding="utf-8")
        return catalogue

    def stop(self) -> int:
        """What Ctrl-C does; answers the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(_STOPPING)
        finally:
            self._process.kill()

    def hand(self) -> Hand:
        """Somebody who uses it."""
        return Hand(self.url, (self.folder / "api-key").read_text(encoding="utf-8").strip(), self.folder.name[-4:])

    @property
    def pid(self) -> int:
        """The parent of all its processes."""
        assert self._process is not None
        return self._process.pid

    def processes(self, word: str) -> list[int]:
        """Our children whose command line holds the word, such as `serve` or `worker`: each before its own children."""
        found = [pid for pid in descendants(self.pid) if word in _command(pid)]
        return found + [below for pid in found for below in descendants(pid) if below not in found]

    def work(self) -> float:
        """Seconds of processor time its living processes have used so far; the load of the machine does not matter."""
        ticks = 0
        for pid in descendants(self.pid):
            with contextlib.suppress(OSError):
                told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                ticks += int(told[11]) + int(told[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def lives(pid: int) -> bool:
        """Whether there is such a process, one that is merely not buried yet aside."""
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z"

    def log(self) -> str:
        """Everything any of its processes wrote to its log."""
        logs = (place for place in (self.folder / "logs").iterdir() if place.is_file())
        return "\n".join(place.read_text(encoding="utf-8", errors="replace") for place in logs)

    def complaints(self) -> list[str]:
        """The lines of its logs that are a warning or worse."""
        return [line for line in self.log().splitlines() if _COMPLAINT.search(line)]

    def faults(self) -> list[str]:
        """What is wrong with all that was ever asked of Stripe, by Stripe's own description (I14, R37)."""
        found = audit_store(self.folder / "stripe.sqlite") if available() else []
        return found + _keys_with_two_bodies(self.folder / "stripe.sqlite")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for place in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, place.read_text(encoding="ascii").split()):
                found += [child, *descendants(child)]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _keys_with_two_bodies(store: Path) -> list[str]:
    """Keys that were sent with more than one body: never allowed (I14)."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT key FROM requests WHERE key IS NOT NULL GROUP BY key HAVING count(DISTINCT path || form) > 1"
        ).fetchall()
    finally:
        connection.close()
    return [f"key {key} with two bodies" for (key,) in rows]


@contextlib.contextmanager
def running(starts_at: datetime | None = None) -> Generator[Sandbox]:
    """A sandbox of one's own, gone afterwards with all its data."""
    folder = Path(tempfile.mkdtemp(prefix="living-"))
    folder.chmod(0o755)
    sandbox = Sandbox(folder, starts_at)
    try:
        sandbox.start()
        yield sandbox
        assert sandbox.stop() == 0
    finally:
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            sandbox.stop()
        shutil.rmtree(folder, ignore_errors=True)


_shared: list[Sandbox] = []


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """The one sandbox of this process, whichever folder of tests asks for it; audited whenever a folder is done."""
    if not _shared:
        held = contextlib.ExitStack()
        _shared.append(held.enter_context(running()))
        request.config.add_cleanup(held.close)
    yield _shared[0]
    assert _shared[0].faults() == []


@pytest.fixture
def hand(sandbox: Sandbox) -> Iterator[Hand]:
    """Somebody who uses the shared sandbox; whatever was made to fail works again afterwards."""
    before = set(sandbox.complaints())
    with sandbox.hand() as one:
        one.selling()
        try:
            yield one
        finally:
            fresh = [line for line in sandbox.complaints() if line not in before]
            print("\n".join(fresh[-40:]))  # noqa: T201 - pytest shows it beside a test that failed
            one.mend()


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
