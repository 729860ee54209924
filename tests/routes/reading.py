"""Reading answers: a problem's whole shape, a page's words."""

import httpx2

from billing.kernel.problems import CATALOGUE
from tests.routes.house import HOME

FIELDS = ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"]


def problem(answer: httpx2.Response, status: int, code: str) -> list[tuple[str, str]]:
    """Checks the whole shape of a problem; answers where its faults are, and which."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert list(told) == FIELDS
    assert (told["status"], told["code"]) == (status, code)
    assert told["type"] == f"{HOME}/problems/{code}"
    assert told["title"] == CATALOGUE[code].title
    assert told["instance"] == answer.request.url.path
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["detail"]
    assert all(list(fault) == ["pointer", "code", "detail"] and fault["detail"] for fault in told["errors"])
    return [(fault["pointer"], fault["code"]) for fault in told["errors"]]
