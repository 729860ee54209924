"""Logs: one JSON line each, with request and task ids, and no personal data (I28).

What an exception says is not repeated unless it is one of ours: a database's words hold the row, a parser's the text.
Its type, its causes and the places it went through are.

Lines of requests are written in blocks: at `MOST_WAITING` lines or after `LONGEST_WAITING` seconds, at the end of the
process, and before any other line, so that what is read stands in the order in which it was said. All other lines are
written at once. A process that is killed takes the lines of requests of its last fifth of a second with it, no others.

Where nothing can be written, on a full disk or to a reader that is gone, work goes on, and the lost lines are counted.
"""

import asyncio
import atexit
import logging
import os
from datetime import datetime
from multiprocessing.util import Finalize
from threading import RLock
from types import TracebackType
from typing import Any, Final, TextIO, cast

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer

from billing.kernel.clock import SystemClock
from billing.kernel.errors import BillingError
from billing.kernel.metrics import LOG_LINES_LOST

MOST_WAITING: Final = 100
LONGEST_WAITING: Final = 0.2
"""Seconds a line of a request may wait to be written."""

STDERR: Final = 2
_NEVER = frozenset({"email", "token", "key", "body", "name", "authorization", "url"})
_UNSAID = "…"
_places = ExceptionDictTransformer(show_locals=False)


_Said = tuple[str, str, str, int, float, datetime]
"""What is told of a request: its id, method, route and status, the seconds it took, and when it was over."""


class _Request(msgspec.Struct, frozen=True, gc=False):
    """The line of a request, with the fields that every line has in their order."""

    request_id: str
    method: str
    route: str
    status: int
    ms: float
    event: str
    level: str
    timestamp: datetime


class _Paper:
    """What whole lines are written on. `write` and `flush` are those of a file; threads may use it together."""

    def __init__(self, descriptor: int, *, requests: bool) -> None:
        self._descriptor = descriptor
        self._requests = requests
        self._waiting: list[_Said] = []
        self._lock = RLock()
        self._torn = False

    def keep(self, said: _Said) -> None:
        """Write the line of a request, in a while."""
        if not self._requests:
            return
        self._waiting.append(said)
        waiting = len(self._waiting)
        if waiting == 1 or waiting >= MOST_WAITING:
            self._arrange(waiting)

    def write(self, text: str) -> None:
        """Write what cannot wait, after what was said before it."""
        self.settle()
        with self._lock:
            self._put(text.encode())

    def flush(self) -> None:
        """Nothing is held back."""

    def settle(self) -> None:
        """Write all that waits."""
        if not self._waiting:
            return
        with self._lock:
            waiting = self._waiting[:]
            del self._waiting[: len(waiting)]  # what another thread adds meanwhile waits on
            self._put(_encoder.encode_lines([_line(*said) for said in waiting]))

    def _put(self, lines: bytes) -> None:
        """Where the lines before were cut off in the middle, these begin on a line of their own."""
        rest = b"\n" + lines if self._torn else lines
        try:
            while rest:
                done = os.write(self._descriptor, rest)
                self._torn, rest = rest[done - 1 : done] != b"\n", rest[done:]
        except OSError:
            LOG_LINES_LOST.inc(min(rest.count(b"\n"), lines.count(b"\n")))

    def _arrange(self, waiting: int) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or waiting >= MOST_WAITING:
            self.settle()
        else:
            loop.call_later(LONGEST_WAITING, self.settle)


def _line(request_id: str, method: str, route: str, status: int, took: float, at: datetime) -> _Request:
    return _Request(request_id, method, route, status, round(took * 1000, 1), "request", "info", at)


_encoder = msgspec.json.Encoder()
_clock = SystemClock()
_paper = _Paper(STDERR, requests=True)


def request(request_id: str, method: str, route: str, status: int, took: float) -> None:
    """One line about a request that took so many seconds. `request_id` is sane, `route` a template: both are ASCII."""
    _paper.keep((request_id, method, route, status, took, _clock.now()))


@atexit.register
def settle() -> None:
    """Write the lines that wait; a web process does it when it ends."""
    _paper.settle()


def configure(level: str = "info", descriptor: int = STDERR) -> None:
    """Set up structlog for this process, onto an open file; the standard library's logging goes the same way at warning
    level."""
    global _paper  # noqa: PLW0603 - a process has one log
    number = logging.getLevelNamesMapping()[level.upper()]
    settle()
    Finalize(None, settle, exitpriority=0)  # a server's worker ends without `atexit`
    _paper = _Paper(descriptor, requests=number <= logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _silence,
            structlog.processors.ExceptionRenderer(exception_told),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _paper)),
        cache_logger_on_first_use=True,
    )
    others = logging.StreamHandler(_paper)
    others.setFormatter(_Bare('{"level": "%(levelname)s", "event": "%(name)s"}'))
    logging.basicConfig(level=logging.WARNING, handlers=[others])


class _Bare(logging.Formatter):
    """Who spoke and how loudly: what a library says, and with which values, may name a person."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        """The type alone."""
        return f'{{"exception": "{ei[0].__name__}"}}'


def exception_told(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> list[dict[str, Any]]:
    """Types and places of an exception and its causes; what they say only where we wrote it ourselves."""
    ours = _names_of(BillingError)
    told = _places(exc_info)
    for link in told:
        if link["exc_type"] not in ours:
            link["exc_value"] = _UNSAID
        link["exc_notes"] = []
    return told


def _names_of(kind: type[BaseException]) -> set[str]:
    return {kind.__name__}.union(*(_names_of(child) for child in kind.__subclasses__()))


def _silence(_logger: Any, _method: str, event: Any) -> Any:
    """Drop fields that may name a person or open a door, whoever logged them."""
    for field in _NEVER & event.keys():
        event[field] = _UNSAID
    return event
