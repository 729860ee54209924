"""How an answer is sent: with its validator, as 304 to who has it already, and without a body to HEAD.

The framework's own classes never answer 304, and fold headers again for each answer.
"""

from typing import Any, Final

from litestar import Request
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from billing.kernel.web import answer_as
from entitlements import answers
from entitlements.answers import Sealed

READ: Final = [HttpMethod.GET, HttpMethod.HEAD]
JSON: Final = MediaType.JSON.value
HAS_IT: Final = answer_as(None, "The caller has this answer already", 304)


class Told(ASGIResponse):
    """An encoded answer with its headers as they are."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:  # pyright: ignore[reportMissingSuperCall]
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._body = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        """Send it."""
        await send(self._start)
        await send(self._body)


def answer(request: Request[Any, Any, Any], sealed: Sealed, kind: str = JSON) -> Told:
    """The answer to this request, or 304 where the caller has it already."""
    held = b", ".join(value for name, value in request.scope["headers"] if name == b"if-none-match").decode("latin-1")
    status, headers, body = reply(sealed, kind, held or None)
    return Told(status, headers, b"" if request.method == HttpMethod.HEAD else body)


def reply(sealed: Sealed, kind: str, held: str | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body for a caller whose `If-None-Match` is `held`."""
    headers = [(b"etag", sealed.etag.encode()), (b"cache-control", sealed.cache_control.encode())]
    if held is not None and answers.matches(held, sealed.etag):
        return 304, headers, b""
    headers.append((b"content-type", kind.encode()))
    headers.append((b"content-length", b"%d" % len(sealed.body)))
    return 200, headers, sealed.body


def told_once(body: bytes) -> Told:
    """An answer that nobody may keep as a whole."""
    return Told(200, kept_by_nobody(body), body)


def kept_by_nobody(body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that nobody may keep as a whole."""
    length = b"%d" % len(body)
    return [(b"cache-control", b"no-store"), (b"content-type", JSON.encode()), (b"content-length", length)]


def named(name: str) -> Any:
    """An operation id for each method of a route that answers GET and HEAD."""

    def operation_id(_: HTTPRouteHandler, method: Any, _path: Any) -> str:
        return name if method == HttpMethod.GET else f"{name}Head"

    return operation_id
