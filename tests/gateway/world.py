"""A stand-in behind a real server on loopback, the real client in front of it, and a receiver for its events."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import stripe
from granian.constants import Interfaces
from granian.server.embed import Server

from billing.sandbox.stripe import StripeStandIn, create_stripe

SECRET = "whsec_piaskownica"
KEY = "sk_test_piaskownica"
START = datetime(2026, 11, 21, 9, tzinfo=UTC)
Message = MutableMapping[str, Any]


class Hands:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class Letter:
    """One delivery as it came over the wire."""

    body: bytes
    signature: str
    at: datetime

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Takes what is sent to the product; answers what the test says."""

    hands: Hands
    statuses: list[int] = field(default_factory=list[int])
    letters: list[Letter] = field(default_factory=list[Letter])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def types(self) -> list[str]:
        return [letter.event["type"] for letter in self.letters]

    async def app(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        parts: list[bytes] = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
        self.letters.append(Letter(b"".join(parts), headers[b"stripe-signature"].decode(), self.hands.at))
        self.arrived.set()
        status = self.statuses.pop(0) if self.statuses else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class World:
    """Everything a test of the stand-in needs."""

    path: Path
    hands: Hands
    receiver: Receiver
    base: str
    hook: str
    standin: StripeStandIn
    # The library's types do not know what was expanded, so the tests do not use them.
    client: Any
    http: httpx2.AsyncClient

    def make(self) -> StripeStandIn:
        return create_stripe(self.path, self.hands.now, self.hook, SECRET, self.base)

    def restart(self) -> None:
        """Another process on the same file."""
        self.standin.close()
        self.standin = self.make()

    async def app(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        target = self.receiver.app if scope["path"] == "/hook" else self.standin.app
        await target(scope, receive, send)

    async def control(self, path: str, body: object = None, expect: int = 200) -> Any:
        """A pull on a string; the answer must have the status expected."""
        url = f"{self.base}/control/{path}"
        answer = await (self.http.get(url) if body is None else self.http.post(url, json=body))
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def session(self, **more: Any) -> Any:
        """An open session for one pass of 44.99 zł."""
        line = {
            "price_data": {
                "currency": "pln",
                "unit_amount": 4499,
                "product_data": {"name": "Mobilne dodatki 2026/27"},
            },
            "quantity": 1,
        }
        given = {
            "mode": "payment",
            "line_items": [line],
            "success_url": "https://shop.example/done?s={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.example/back",
            "client_reference_id": "ord_1",
            "locale": "pl",
            **more,
        }
        return await self.client.v1.checkout.sessions.create_async(given)

    async def paid(self, method: str = "card", **more: Any) -> Any:
        """The charge of a session that was just paid."""
        session = await self.session(**more)
        await self.control(f"sessions/{session.id}/pay", {"method": method, "outcome": "succeeded"})
        intent = await self.client.v1.payment_intents.retrieve_async(
            (await self.client.v1.checkout.sessions.retrieve_async(session.id)).payment_intent,
            {"expand": ["latest_charge"]},
        )
        return intent.latest_charge


@contextlib.asynccontextmanager
async def client_for(base: str, *, key: str = KEY) -> AsyncGenerator[stripe.StripeClient]:
    """The real library, pointed at the stand-in; it neither retries nor reports."""
    wire = stripe.HTTPXClient(timeout=5, verify_ssl_certs=False, allow_sync_methods=False)
    try:
        yield stripe.StripeClient(
            key,
            base_addresses={"api": base},
            max_network_retries=0,
            stripe_version="2026-10-28.endive",
            http_client=wire,
        )
    finally:
        await wire.close_async()


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncGenerator[int]:
    """A real server on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    task = asyncio.create_task(server.serve())
    try:
        await _reachable(port)
        yield port
    finally:
        server.stop()
        await task


async def _reachable(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the server did not come up")


@contextlib.asynccontextmanager
async def living(folder: Path) -> AsyncGenerator[World]:
    """A world; what its stand-in has done must agree with Stripe's description when it ends."""
    hands = Hands()
    receiver = Receiver(hands)
    holder: list[World] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await holder[0].app(scope, receive, send)

    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(served(app))
        base, hook = f"http://127.0.0.1:{port}/sandbox/stripe", f"http://127.0.0.1:{port}/hook"
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False, verify=False))
        client = await stack.enter_async_context(client_for(base))
        path = folder / "stripe.db"
        standin = create_stripe(path, hands.now, hook, SECRET, base)
        holder.append(World(path, hands, receiver, base, hook, standin, client, http))
        try:
            yield holder[0]
        finally:
            holder[0].standin.close()
