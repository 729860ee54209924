"""The sandbox's children: started, watched, revived when they die, and stopped without leaving anybody behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from billing.sandbox.embedded import EmbeddedServerError, die_with_parent

# Every child, and whatever it starts, carries this in its environment; so its strays can be told from strangers.
MARK = "SANDBOX_CHILD_OF"
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_HEALTHY_AFTER = 30.0
_LONGEST_LOG = 20_000_000


class Watched(Protocol):
    """What can be seen to have died, and be brought back."""

    @property
    def alive(self) -> bool:
        """True while it runs."""
        ...

    def revive(self) -> None:
        """Starts it again."""
        ...


class Child:
    """One process of the product, with its output in a log file."""

    def __init__(self, name: str, argv: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        """``logs`` is a folder; ``environment`` is all the child gets."""
        self.name = name
        self.log = logs / f"{name}.log"
        self._argv = list(argv)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process number, once started."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Starts it in a session of its own, so that Ctrl-C reaches only us.

        Call it from a thread that lives on (see ``embedded.die_with_parent``).
        """
        if self.log.exists() and self.log.stat().st_size > _LONGEST_LOG:
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one system call, its library at hand
            )

    def revive(self) -> None:
        """Starts it again."""
        self.start()

    def ask_to_stop(self) -> None:
        """Asks it to end, without waiting."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def finish(self, seconds: float) -> None:
        """Waits for the end that was asked for and, should it not come, ends it."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass
class _Watch:
    what: Watched
    up_since: float
    pause: float = _FIRST_PAUSE
    again_at: float | None = None


@dataclass
class Watcher:
    """Brings back what dies: at once the first time, then after pauses that double up to ten seconds."""

    _watches: list[_Watch] = field(default_factory=list[_Watch])

    def watch(self, what: Watched) -> None:
        """From now on, this one is not left dead."""
        self._watches.append(_Watch(what, time.monotonic()))

    def look(self) -> None:
        """One look at everybody."""
        now = time.monotonic()
        for watch in self._watches:
            if watch.what.alive:
                if now - watch.up_since > _HEALTHY_AFTER:
                    watch.pause = _FIRST_PAUSE
            elif watch.again_at is None:
                watch.again_at = now + watch.pause
            elif now >= watch.again_at:
                try:
                    watch.what.revive()
                except EmbeddedServerError as trouble:  # it died once more while it started
                    sys.stderr.write(f"Not back yet: {trouble}\n")
                watch.again_at, watch.up_since = None, now
                watch.pause = min(watch.pause * 2, _LONGEST_PAUSE)

    def look_until(self, over: threading.Event) -> None:
        """Looks five times a second until told that it is over."""
        while not over.wait(0.2):
            self.look()


def stop_all(children: Sequence[Child], seconds: float = 10) -> None:
    """Ends all of them, at the same time."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + seconds
    for child in children:
        child.finish(max(0.1, deadline - time.monotonic()))


def stop_strays(mark: str, seconds: float = 5) -> int:
    """Ends processes that carry the mark: children's children left by a kill. Answers how many there were.

    Safe only while holding the lock of the folder the mark names: then they belong to no living sandbox.
    """
    first = list(_carrying(mark))
    deadline = time.monotonic() + seconds
    while strays := list(_carrying(mark)):
        for pid in strays:
            try:
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline + seconds:
            break
        time.sleep(0.2)
    return len(first)


def _carrying(mark: str) -> list[int]:
    wanted = f"{MARK}={mark}".encode()
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        except OSError:  # gone by now, or not ours to look at
            continue
    return found
