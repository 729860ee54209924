"""The product's web process hands ``/sandbox/*`` on to the process that holds what is outside."""

from collections.abc import AsyncIterator, MutableMapping
from typing import Any, cast

import httpx2
from litestar import asgi, get
from litestar.handlers import ASGIRouteHandler
from litestar.response import Redirect
from litestar.types import Receive, Scope, Send

# RFC 9110, 7.6.1: these speak of one connection only. The lengths and the host are set anew.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"transfer-encoding", b"upgrade", b"host"}
)  # fmt: skip
_CONNECT_SECONDS = 5.0


class SandboxProxy:
    """An ASGI application that forwards each request to ``outside`` as it came and streams the answer back.

    Redirects are the caller's. Answers are waited for as long as they take: moving the clock by a year takes minutes.
    An upstream that cannot be reached, or goes away without an answer, is a 502; one that breaks off its answer cuts
    the caller's connection as well.
    """

    def __init__(self, outside: str) -> None:
        """``outside`` is the base address, such as ``http://127.0.0.1:40123``."""
        self._client = httpx2.AsyncClient(
            base_url=outside,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Forwards one request."""
        if scope["type"] != "http":
            return
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _HOP_BY_HOP]
        has_body = any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
        request = self._client.build_request(
            scope["method"], _target(scope), headers=headers, content=_body(receive) if has_body else None
        )
        for name in ("accept", "accept-encoding", "user-agent"):  # what the client would add of its own
            if name.encode() not in {given.lower() for given, _ in headers}:
                request.headers.pop(name, None)
        if request_id := scope.get("state", {}).get("request_id"):
            request.headers["X-Request-Id"] = request_id
        try:
            answer = await self._client.send(request, stream=True)
        except httpx2.TransportError:
            await _cannot_reach(send)
            return
        try:
            kept = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in _HOP_BY_HOP]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await answer.aclose()


def outside_mount(outside: str | SandboxProxy) -> ASGIRouteHandler:
    """A handler that gives everything below ``/sandbox`` to the process at that address.

    Given a proxy, the caller closes it; else its connections live as long as the process.
    """
    proxy = SandboxProxy(outside) if isinstance(outside, str) else outside

    @asgi("/sandbox", is_mount=True, copy_scope=True)
    async def below_sandbox(scope: Scope, receive: Receive, send: Send) -> None:
        await proxy(cast("MutableMapping[str, Any]", scope), receive, send)

    return below_sandbox


@get("/", include_in_schema=False)
async def front_door() -> Redirect:
    """Whoever opens the sandbox's bare address finds where to begin."""
    return Redirect("/sandbox", status_code=303)


def _target(scope: MutableMapping[str, Any]) -> httpx2.URL:
    """The path as it was written, below wherever this application was mounted, and the query."""
    raw = scope.get("raw_path") or scope["path"].encode()
    prefix = b"" if raw.startswith(b"/sandbox") else b"/sandbox"
    query = scope.get("query_string") or b""
    return httpx2.URL(raw_path=(prefix + raw.partition(b"?")[0] + (b"?" + query if query else b"")))


async def _body(receive: Any) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the caller went away")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _cannot_reach(send: Any) -> None:
    body = b"The sandbox's outside process cannot be reached; it is started again within seconds.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 502, "headers": headers})
    await send({"type": "http.response.body", "body": body})
