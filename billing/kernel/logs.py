"""Logs: one JSON line each, with request and task ids, and no personal data (I28).

What an exception says is not repeated unless it is one of ours: a database's words hold the row, a parser's the text.
Its type, its causes and the places it went through are.
"""

import logging
import sys
from types import TracebackType
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from billing.kernel.errors import BillingError

_NEVER = frozenset({"email", "token", "key", "body", "name", "authorization", "url"})
_UNSAID = "…"
_places = ExceptionDictTransformer(show_locals=False)


def configure(level: str = "info") -> None:
    """Set up structlog for this process; the standard library's logging goes the same way at warning level."""
    number = logging.getLevelNamesMapping()[level.upper()]
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    others = logging.StreamHandler(sys.stderr)
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
