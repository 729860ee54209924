"""What stands there: shared memory a linked pupil, memory of processes, and how soon a fresh process is ready."""

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

from billing.kernel.db import Database
from entitlements.snapshot.place import folder_for
from tests.benchmarks.answering import say
from tests.benchmarks.contenders import Where, one
from tests.benchmarks.place import Place, Row, Server, cpu_seconds, memory, ours, used
from tests.benchmarks.servers import patiently

PATIENCE = 300
_WORD = struct.Struct("<Q")


def await_snapshot(place: Place, servers: dict[Where, Server]) -> None:
    """Wait until the servers answer from memory; go on without where there is none."""
    patiently(servers["product"], one(place.keys[0], 0))
    folder = snapshot_folder(place)
    began = time.monotonic()
    while not is_loaded(folder):
        if time.monotonic() > began + (PATIENCE if folder.is_dir() else 3):
            say("there is no snapshot")
            return
        time.sleep(0.02)


def snapshot_folder(place: Place) -> Path:
    """Where the servers' snapshot lies."""
    return folder_for(Database(place.postgres.url("bench")).engine.sync_engine)


def is_loaded(folder: Path) -> bool:
    """Whether a shelf is the present one: the first number of the page says which."""
    try:
        with (folder / "page").open("rb") as page:
            return _WORD.unpack(page.read(_WORD.size))[0] > 0
    except (OSError, struct.error):
        return False


def rows(place: Place, servers: dict[Where, Server]) -> list[Row]:
    """Memory of what runs, then the start of a process beside it, with a snapshot of its own."""
    shelves = sum(file.stat().st_blocks * 512 for file in snapshot_folder(place).glob("shelf.*"))
    told = [
        Row("snapshot, once a machine", None, {"MiB": f"{shelves / 2**20:.0f}",
            "bytes a linked pupil": f"{shelves / place.accounts:.0f}"}, "≤ 100"),
    ]  # fmt: skip
    for where in ("product", "desk", "floor"):
        if where in servers:
            figures = {"MiB": f"{memory(servers[where].pid) / 2**20:.0f}"}
            told.append(Row(f"one worker: {where}", None, figures))
    told.append(_longest_pause(place))
    told += [
        _start(place, "billing", "the product"),
        _start(place, "entitlements", "the desk alone"),
    ]
    say("memory and start")
    return told


def _longest_pause(place: Place) -> Row:
    """A full collection of garbage in a process of the product as it is before its first question."""
    code = """import gc, time, billing.app; app = billing.app.create(); began = time.perf_counter(); gc.collect()
print((time.perf_counter() - began) * 1e3)"""
    told = subprocess.run(
        [sys.executable, "-c", code], env=place.environment(), check=True, capture_output=True, text=True
    )
    return Row("a full garbage collection of the product", None, {"ms": f"{float(told.stdout):.1f}"}, "≤ 10 ms")


def _of_ended(pid: int) -> float:
    """Seconds on a core of a process's children that have ended, such as the connection that loaded everybody."""
    user, system = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[13:15]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _start(place: Place, module: str, name: str) -> Row:
    folder = Path("/dev/shm") / f"bench-{time.monotonic_ns()}"
    began = time.monotonic()
    stores, ended = cpu_seconds(place.postgres.pid), _of_ended(place.postgres.pid)
    environment = place.environment(BILLING_SNAPSHOT=str(folder))
    with place.serving(ours(module), environment) as server:
        patiently(server, one(place.keys[0], 1))
        answered = time.monotonic() - began
        while not is_loaded(folder) and time.monotonic() < began + PATIENCE:
            time.sleep(0.01)
        ready = time.monotonic() - began
        app = sum(cpu_seconds(server.pid).values())
    database = used(stores, cpu_seconds(place.postgres.pid)) + _of_ended(place.postgres.pid) - ended
    figures = {
        "first answer s": f"{answered:.1f}",
        "answers from memory s": f"{ready:.1f}",
        "its CPU s": f"{app:.1f}",
        "database CPU s": f"{database:.1f}",
    }
    return Row(f"start of {name}, from PostgreSQL", None, figures, "≤ 4 s from memory at 1 M")
