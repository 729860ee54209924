"""What the product says of itself meanwhile: the lines of its log, and its count of requests."""

import json
from typing import Any, TextIO

from billing.kernel import logs
from billing.kernel.metrics import COUNTED


def lines(paper: TextIO, *besides: str) -> list[dict[str, Any]]:
    """What was logged since the last look, without when and how long, nor the fields `besides`."""
    return [{name: line[name] for name in line if name not in {"ms", "timestamp", *besides}} for line in whole(paper)]


def whole(paper: TextIO) -> list[dict[str, Any]]:
    """What was logged since the last look."""
    logs.settle()
    paper.seek(0)
    found = [json.loads(line) for line in paper]
    paper.truncate(0)
    return found


def counted(method: str, route: str, status: int) -> float:
    """How many requests of this kind were counted by now."""
    labels = {"method": method, "route": route, "status": str(status)}
    return COUNTED.get_sample_value("billing_http_requests_total", labels) or 0.0
