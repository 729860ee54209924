"""The stand-in as one piece: an ASGI app, a clock that moves it, a file that remembers it."""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from billing.sandbox.stripe import control, deliveries, events, pages, timeline
from billing.sandbox.stripe.api import Answer, Api, Request
from billing.sandbox.stripe.books import Asking, Books
from billing.sandbox.stripe.store import Store

_ROOMS = re.compile(r"^.*?(/(?:v1|pay|control|portal|receipts|invoices|assets)(?:/.*)?)$")
_LARGEST = 1_000_000
_log = logging.getLogger(__name__)
_BATCH = 100
"""So many due things are done in one transaction."""
_NAP = 0.2
"""Seconds of real time between looks at a clock that others may move."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class StripeStandIn:
    """A Stripe that lives in one file. All instants come from ``now`` (aware UTC)."""

    def __init__(
        self, store_path: Path, now: Callable[[], datetime], webhook_url: str, webhook_secret: str, public_base: str
    ) -> None:
        self._store = Store(store_path)
        self._now = now
        self._public_base = public_base.rstrip("/")
        self._api = Api(self._store, now, self._public_base)
        self._postman = deliveries.Postman(self._store, now)
        self._bell = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._introduce(webhook_url, webhook_secret)

    def _introduce(self, url: str, secret: str) -> None:
        """The product's own endpoint is there from the start; a restart may move it."""
        with self._store.transaction():
            books = self._books()
            known = self._store.get(str(self._store.setting("endpoint", "")))
            if known is None:
                known = events.build_endpoint(books, {"url": url, "enabled_events": ["*"]}, secret)
                self._store.set("endpoint", known["id"])
            known.update(url=url, _secret=secret)
            books.save(known)

    def _books(self) -> Books:
        return Books(self._store, self._now(), self._public_base, Asking())

    # Time

    def next_due(self) -> datetime | None:
        """The earliest instant at which something is or becomes due; None when nothing will."""
        both = (self._store.next_due(), self._postman.next_due())
        instants = [instant for instant in both if instant is not None]
        return datetime.fromtimestamp(min(instants), UTC) if instants else None

    async def deliver_due(self) -> int:
        """Does everything that is due now, events included, until nothing is; answers how many things that were."""
        done = 0
        async with self._one_at_a_time:
            while True:
                step = self._pass_time() + await self._postman.send_due()
                if step == 0:
                    return done
                done += step

    def _pass_time(self) -> int:
        with self._store.transaction():
            return timeline.pass_time(self._books(), _BATCH)

    async def run(self) -> None:
        """Delivers promptly until cancelled: at once after a change, and whenever the clock has come to something."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), _NAP)
            self._bell.clear()
            due = self.next_due()
            if due is not None and due <= self._now():
                await self._deliver_or_say_so()

    async def _deliver_or_say_so(self) -> None:
        # A loop that died in silence would look like a product that loses events.
        try:
            await self.deliver_due()
        except Exception:  # noqa: BLE001 - said aloud, and tried again
            _log.exception("the stand-in could not deliver; it will try again")

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    # HTTP

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app; whatever stands in the path before our own rooms is the place it is mounted at."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        match = _ROOMS.match(str(scope["path"]))
        path = match.group(1).rstrip("/") if match else str(scope["path"])
        method = str(scope["method"])
        if body is None:
            answer = Answer(413, b"", {})
        elif path.startswith("/v1/"):
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            query = bytes(scope.get("query_string", b"")).decode("latin-1")
            answer = self._api.answer(Request(method, path, query, headers, body))
        elif path.startswith("/control/"):
            answer = self._control(method, path, body)
        else:
            answer = self._page(method, path, body)
        self._bell.set()
        await _send(send, answer, head=method == "HEAD")

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        try:
            with self._store.transaction():
                status, said = control.pull(self._books(), method, path, body)
        except control.Wrong as wrong:
            status, said = wrong.status, wrong.body
        return Answer(status, json.dumps(said).encode(), headers)

    def _page(self, method: str, path: str, body: bytes) -> Answer:
        with self._store.transaction():
            page = self._choose_page(method, path, body)
        headers = {
            "Content-Type": page.kind,
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        if page.location is not None:
            headers["Location"] = page.location
        return Answer(page.status, page.html.encode(), headers)

    def _choose_page(self, method: str, path: str, body: bytes) -> pages.Page:
        room, _, key = path.removeprefix("/").partition("/")
        reading = method in ("GET", "HEAD")
        if room == "pay":
            return pages.show_session(self._books(), key) if reading else pages.submit_session(self._books(), key, body)
        if room == "portal":
            return pages.show_portal(self._books(), key) if reading else pages.submit_portal(self._books(), key, body)
        if room in ("receipts", "invoices") and reading:
            return pages.show_paper(self._books(), key.partition("/")[0])
        if (room, key) == ("assets", "pay.css") and reading:
            return pages.stylesheet()
        return pages.not_there()


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None when it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        part = bytes(message.get("body", b""))
        size += len(part)
        if size <= _LARGEST:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if size <= _LARGEST else None


async def _send(send: Send, answer: Answer, *, head: bool) -> None:
    if answer.lost:
        # A body is promised and never sent: the server can only close, and the caller sees a broken connection.
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        return
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


def create_stripe(
    store_path: Path, now: Callable[[], datetime], webhook_url: str, webhook_secret: str, public_base: str
) -> StripeStandIn:
    """A stand-in that keeps its state in ``store_path`` and sends its events to ``webhook_url``.

    ``public_base`` is the address under which ``.app`` is reachable from browsers (``https://…/sandbox/stripe``).
    """
    return StripeStandIn(store_path, now, webhook_url, webhook_secret, public_base)
