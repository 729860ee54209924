"""Logs: one JSON line each, with request and task ids, and no personal data (I28)."""

import logging
import sys
from typing import Any

import structlog

_NEVER = frozenset({"email", "token", "key", "body", "name", "authorization", "url"})


def configure(level: str = "info") -> None:
    """Set up structlog for this process; the standard library's logging goes the same way at warning level."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _silence,
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format='{"level": "%(levelname)s", "event": "%(name)s"}'
    )


def _silence(_logger: Any, _method: str, event: Any) -> Any:
    """Drop fields that may name a person or open a door, whoever logged them."""
    for field in _NEVER & event.keys():
        event[field] = "…"
    return event
