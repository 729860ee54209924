"""The outermost ASGI layer, around the router itself, so that a 404 too has a request id and safe headers.

A body must come whole, and in time (F52). For JSON routes it is read here once, and other media types are refused: the
framework decodes JSON sent as text/plain and answers 500 to bytes that are not UTF-8 (S43, S66).
"""

import time
from asyncio import get_running_loop, timeout_at
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Final

import msgspec
import structlog

from billing.kernel import logs, metrics
from billing.kernel.bodies import LONGEST, check_text
from billing.kernel.errors import Malformed
from billing.kernel.problems import MEDIA_TYPE, problem, problem_of
from billing.kernel.web import request_id_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

SLOWEST: Final = 20.0
"""Seconds in which a body must have come."""
_JSON_ROOMS = ("/v1/",)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_METHODS = _WITH_BODY | {"GET", "HEAD", "DELETE", "OPTIONS"}
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
)


class _Refused(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class Door:
    """Wraps the router; `public_url` is the base of problem types."""

    def __init__(self, app: App, public_url: str) -> None:
        self._app = app
        self._base = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: id, body, answer headers, metrics and one line of log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started: float = scope["state"].get("started") or time.perf_counter()
        headers = dict(scope["headers"])
        request_id = request_id_of(headers.get(b"x-request-id", b"").decode("latin-1"))
        scope["state"]["request_id"] = request_id
        named = structlog.contextvars.bind_contextvars(request_id=request_id)
        seen: list[int] = []
        method = scope["method"]
        if method == "HEAD":  # answered as GET is, without the body: the framework refuses it
            scope["method"] = "GET"

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.append(int(message["status"]))
                more = scope["state"].get("answer_headers", ())
                message["headers"] = dressed(_small(message["headers"], scope), request_id, more)
            elif method == "HEAD":
                if message.get("more_body", False):
                    return
                message["body"] = b""
            await send(message)

        try:
            await self._pass(scope, receive, send_dressed, headers)
        finally:
            took = time.perf_counter() - started
            _note(method, scope, seen[0] if seen else 0, took)
            structlog.contextvars.reset_contextvars(**named)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        if scope["method"] not in _WITH_BODY or not scope["path"].startswith(_JSON_ROOMS):
            is_sent = scope["method"] in _WITH_BODY
            await self._app(scope, _whole(receive) if is_sent else receive, send)
            return
        where = {"base": self._base, "instance": scope["path"], "request_id": scope["state"]["request_id"]}
        try:
            body = await _json_body(_whole(receive), headers)
        except _Refused as refused:
            await _answer(send, problem(refused.code, refused.status, refused.detail, **where))
        except Malformed as error:
            await _answer(send, problem_of(error, **where))
        else:
            scope["state"]["body"] = body
            read = {"type": "http.request", "body": body, "more_body": False}
            await self._app(scope, given_again((read,), receive), send)


async def _json_body(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > LONGEST:
        raise _Refused(413, "payload_too_large", f"A body is at most {LONGEST} bytes.")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > LONGEST:
            raise _Refused(413, "payload_too_large", f"A body is at most {LONGEST} bytes.")
        if not message.get("more_body", False):
            break
    body = b"".join(chunks)
    if body or b"content-type" in headers:
        kind, _, options = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
        if kind.strip() != "application/json" or options.strip() not in {"", "charset=utf-8"}:
            raise _Refused(415, "unsupported_media_type", "Only application/json in UTF-8 is read here.")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise _Refused(415, "unsupported_media_type", "Bodies are not decompressed here.")
    if body:
        check_text(body)
    return body


async def answer_early(
    send: Send,
    method: str,
    route: str,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    request_id: str,
    started: float,
) -> None:
    """Answer before the router, with `dressed` headers: counted and logged as any other answer of the route."""
    try:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body, "more_body": False})
    finally:
        took = time.perf_counter() - started
        metrics.request(method, route, status, took)
        logs.request(request_id, method, route, status, took)


def patient(receive: Receive) -> Receive:
    """A `receive` for a body: whoever has not sent all of it in time is taken for gone."""
    ends = get_running_loop().time() + SLOWEST

    async def receive_in_time() -> Message:
        try:
            async with timeout_at(ends):
                return await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}

    return receive_in_time


def _whole(receive: Receive) -> Receive:
    """A `receive` that gives all of a body, and then whatever comes. Raises Malformed where the body ends before."""
    in_time = patient(receive)
    is_whole = False

    async def receive_whole() -> Message:
        nonlocal is_whole
        if is_whole:
            return await receive()
        message = await in_time()
        if message["type"] != "http.request":
            words = f"The body did not come whole within {SLOWEST:.0f} seconds."
            raise Malformed(words, code="body_incomplete")
        is_whole = not message.get("more_body", False)
        return message

    return receive_whole


def given_again(messages: Iterable[Message], receive: Receive) -> Receive:
    """A `receive` that gives what was received already, then whatever comes after it."""
    given = iter(messages)

    async def receive_again() -> Message:
        message = next(given, None)
        return await receive() if message is None else message

    return receive_again


def dressed(
    headers: list[tuple[bytes, bytes]], request_id: str, more: Iterable[tuple[bytes, bytes]] = ()
) -> list[tuple[bytes, bytes]]:
    """The headers of an answer (in small letters), with those that every answer has."""
    missing = _missing(tuple([name for name, _ in headers]))
    return [*headers, *missing, (b"x-request-id", request_id.encode()), *more]


@lru_cache(256)
def _missing(have: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes], ...]:
    """Which of the headers that every answer has are not among these."""
    return tuple(pair for pair in _SAFE_HEADERS if pair[0] not in have)


def _small(headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers with their names in small letters, and `Allow` with all methods."""
    told = [(name.lower(), value) for name, value in headers]
    if any(name == b"allow" for name, _ in told):
        return [(name, _allowed(scope, value) if name == b"allow" else value) for name, value in told]
    return told


def _allowed(scope: Scope, told: bytes) -> bytes:
    """The methods of an address: where GET is answered, HEAD is. To OPTIONS the framework tells those only that were
    registered first."""
    methods = {part.strip() for part in told.decode().split(",")}
    if scope["method"] == "OPTIONS":
        for route in scope["litestar_app"].routes:
            if getattr(route, "path_format", None) == scope.get("path_template"):
                methods |= {str(method) for method in getattr(route, "methods", ())}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods)).encode()


def _note(method: str, scope: Scope, status: int, took: float) -> None:
    route = str(scope.get("path_template") or "-")
    known = method if method in _METHODS else "other"
    metrics.request(known, route, status, took)
    logs.request(scope["state"]["request_id"], known, route, status, took)


async def _answer(send: Send, told: Any) -> None:
    body = msgspec.json.encode(told)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": told.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
