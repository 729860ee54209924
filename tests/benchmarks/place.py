"""Where the benchmark takes place: cores, a PostgreSQL and a Valkey of its own, servers, and what each has used.

The client and the stores stand on the last core, each server alone on the first: so what a server costs is its own.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import msgspec

from billing.openapi import PLACE
from billing.sandbox.embedded import die_with_parent
from billing.sandbox.postgres import EmbeddedPostgres
from billing.sandbox.valkey import EmbeddedValkey

CORES = sorted(os.sched_getaffinity(0))
SERVERS_CORE, OTHERS_CORE = CORES[0], CORES[-1]
_NANO = 1e-9
_MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
_POSTGRES = {
    "max_connections": "200",
    "shared_buffers": f"{_MEMORY // 4 >> 20}MB",  # as its manual advises
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",  # it would work in one contender's window and not in another's
}


class Row(msgspec.Struct, frozen=True):
    """One line of a table: what, how it compares (1.0: the same; more is better), and figures by column."""

    name: str
    ratio: float | None
    figures: dict[str, str]
    goal: str = ""


class Server(msgspec.Struct, frozen=True):
    """A server that listens on loopback; `pid` heads its tree of processes."""

    port: int
    pid: int


class Place:
    """The stores and what was put into them; how large and how long everything is to be."""

    def __init__(self, folder: Path, *, accounts: int, rounds: int, seconds: float) -> None:
        self.folder = folder
        self.accounts = accounts
        self.rounds = rounds
        self.seconds = seconds
        self.keys: tuple[str, ...] = ()
        self.postgres = EmbeddedPostgres(folder / "postgres", settings=_POSTGRES)
        self.valkey = EmbeddedValkey(folder / "valkey")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        os.sched_setaffinity(0, {OTHERS_CORE})
        self._stack.callback(os.sched_setaffinity, 0, set(CORES))
        self._stack.enter_context(self.postgres)
        self._stack.enter_context(self.valkey)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def environment(self, database: str = "bench", **more: str) -> dict[str, str]:
        """The product's settings here."""
        told = {"BILLING_DATABASE_URL": self.postgres.url(database), "BILLING_BROKER_URL": self.valkey.url()}
        return {**os.environ, **PLACE, "BILLING_WEB_WORKERS": "1", **told, **more}

    @contextmanager
    def serving(self, argv: list[str], environment: dict[str, str] | None = None) -> Generator[Server]:
        """A server on a free port (`{port}` in its arguments) and on the servers' core, until the end of the block."""
        port = free_port()
        told = [part.replace("{port}", str(port)) for part in argv]
        os.sched_setaffinity(0, {SERVERS_CORE})  # inherited by what is started
        try:
            with (self.folder / f"server-{port}.log").open("wb") as log:
                process = subprocess.Popen(
                    told,
                    env=environment or dict(os.environ),
                    stdout=log,
                    stderr=log,
                    preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one system call
                )
        finally:
            os.sched_setaffinity(0, {OTHERS_CORE})
        try:
            self._await(process, port)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait(30)

    def _await(self, process: subprocess.Popen[bytes], port: int) -> None:
        for _ in range(1200):
            if process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        log = (self.folder / f"server-{port}.log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"a server did not start: {log[-2000:]}")


def ours(module: str = "billing") -> list[str]:
    """The product, or the desk alone, started as it is in earnest."""
    return [sys.executable, "-m", module, *(["serve"] if module == "billing" else []), "--port", "{port}"]


def granian(target: str) -> list[str]:
    """Another application, on the server that serves ours."""
    return [sys.executable, "-m", "granian", target, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1",
            "--interface", "asgi", "--no-ws", "--loop", "uvloop", "--log-level", "error"]  # fmt: skip


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        for task in _tasks(one):
            try:
                waiting += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
            except OSError:
                continue


def cpu_seconds(pid: int) -> dict[str, float]:
    """Seconds on a core of each thread of a tree of processes, by the scheduler's own counters (nanoseconds)."""
    found: dict[str, float] = {}
    for one in tree(pid):
        for task in _tasks(one):
            try:
                found[task.name] = int((task / "schedstat").read_text(encoding="ascii").split()[0]) * _NANO
            except OSError:
                continue
    return found


def used(before: dict[str, float], after: dict[str, float]) -> float:
    """Seconds between two looks, of the threads that live at the second."""
    return sum(value - before.get(task, 0.0) for task, value in after.items())


def memory(pid: int) -> int:
    """Bytes of a tree of processes, shared pages divided among those who share them."""
    total = 0
    for one in tree(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
