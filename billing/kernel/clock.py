"""The one clock. Everything else is given its instant as `at` (R130)."""

import mmap
import os
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

_STATE = struct.Struct("<qq")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@runtime_checkable
class Clock(Protocol):
    """Tells the present instant, always in UTC."""

    def now(self) -> datetime:
        """The present instant."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present instant by the machine's clock."""
        return _machine()


class SharedClock:
    """A clock that several processes share through a 16-byte file and that can be moved (never in production).

    The file holds two little-endian int64: an offset to the machine's clock in µs, and the instant (µs since 1970)
    at which the clock is held, or 0 while it runs.
    """

    def __init__(self, path: Path) -> None:
        fresh = not path.exists() or path.stat().st_size < _STATE.size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if fresh:
            os.pwrite(self._file, _STATE.pack(0, 0), 0)
        self._map = mmap.mmap(self._file, _STATE.size)

    def now(self) -> datetime:
        """The shared instant."""
        offset, held = state = self._state()
        while not held:
            at = _machine() + timedelta(microseconds=offset)
            offset, held = again = self._state()
            if again == state:
                return at
            state = again  # it was moved, or stopped, while we looked
        return _EPOCH + timedelta(microseconds=held)

    def stop(self) -> None:
        """Stand still. No process has been told a later instant than the one at which the clock then stands."""
        offset, held = self._state()
        if not held:
            self.hold(_machine() + timedelta(microseconds=offset))
            self.hold(_machine() + timedelta(microseconds=offset))  # others looked until it stood

    def hold(self, at: datetime) -> None:
        """Stand still at `at` for every process, until moved or released."""
        offset, _ = self._state()
        self._map[: _STATE.size] = _STATE.pack(offset, _micros(at))

    def release(self) -> None:
        """Run on from the instant at which the clock is held."""
        _, held = self._state()
        if held:
            self._map[: _STATE.size] = _STATE.pack(held - _micros(_machine()), 0)

    def _state(self) -> tuple[int, int]:
        offset, held = _STATE.unpack(self._map[: _STATE.size])
        return offset, held


class FixedClock:
    """A clock that stands until it is told otherwise; for tests and tools."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """The instant it was last told."""
        return self._at

    def move(self, to: datetime) -> None:
        """Stand at another instant."""
        self._at = to


def clock_of(file: str) -> Clock:
    """The machine's clock, or the one a sandbox shares between its processes through this file."""
    return SharedClock(Path(file)) if file else SystemClock()


def ticks() -> int:
    """Nanoseconds of the machine's steady clock: the same for all its processes, never set, never moved in a sandbox.

    It tells how long ago, not when. It goes on while the machine sleeps (where the system offers that).
    """
    return time.clock_gettime_ns(_STEADY)


def _machine() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one permitted reading


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
