"""Stripe's library with the stand-in on the other end of a function call: no socket, the same requests, answers, keys,
books. A call may break on its way, as the test says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import stripe

from billing.payments.facts import API_VERSION
from billing.payments.stripe_gateway import StripeGateway
from billing.sandbox.stripe import StripeStandIn, create_stripe, errors
from billing.sandbox.stripe.api import Answer, Request
from billing.sandbox.stripe.books import Asking, Books
from tests.gateway.world import KEY, SECRET, Hands

BASE = "http://stripe.example"
Fault = Literal["normal", "timeout_before", "timeout_after", "error_500", "rate_limit", "key_in_use", "unauthorized"]
Faults = Callable[[str, str, str | None], Fault]
Touched = Callable[[str, str], Awaitable[None]]


class Wire(stripe.HTTPClient):
    """What the library sends its requests through. Between a call and its answer others have their turn."""

    name = "direct"

    def __init__(self, standin: StripeStandIn) -> None:
        super().__init__(verify_ssl_certs=False)
        self.standin = standin
        self.faults: Faults | None = None
        self.calls = 0

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        await asyncio.sleep(0)
        self.calls += 1
        parts = urlsplit(url)
        given = {name.lower(): value for name, value in headers.items()}
        fault = self.faults(method.upper(), parts.path, given.get("idempotency-key")) if self.faults else "normal"
        body = post_data.encode() if isinstance(post_data, str) else bytes(post_data or b"")
        answer = self._answer(Request(method.upper(), parts.path, parts.query, given, body), fault)
        await asyncio.sleep(0)
        if answer.lost:
            raise stripe.APIConnectionError("The connection broke.", should_retry=False)
        return answer.body, answer.status, answer.headers

    def _answer(self, request: Request, fault: Fault) -> Answer:
        if fault == "key_in_use":
            said = '{"error": {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "in use"}}'
            return Answer(409, said.encode(), {})
        if fault == "unauthorized":
            request = Request(
                request.method, request.path, request.query, {**request.headers, "authorization": ""}, b""
            )
        store = self.standin._store
        if fault not in {"normal", "unauthorized"}:
            store.set("api", fault)
        try:
            return self.standin._api.answer(request)
        finally:
            if fault not in {"normal", "unauthorized"}:
                store.set("api", "normal")

    async def close_async(self) -> None:
        """There is nothing to close."""


def gateway_to(standin: StripeStandIn) -> tuple[StripeGateway, Wire]:
    """The product's own gateway, on a wire of ours."""
    wire = Wire(standin)
    gateway = StripeGateway(KEY, BASE)
    gateway._stripe = stripe.StripeClient(
        KEY, stripe_version=API_VERSION, base_addresses={"api": BASE}, max_network_retries=0, http_client=wire
    )
    return gateway, wire


def standin_in_memory(hands: Hands) -> StripeStandIn:
    """A stand-in whose books are in memory; nobody delivers its events but the test."""
    return create_stripe(Path(":memory:"), hands.now, "http://127.0.0.1:1/hook", SECRET, BASE)


def books_of(standin: StripeStandIn) -> Books:
    """The books, for what people and banks do."""
    return Books(standin._store, standin._now(), BASE, Asking())


__all__ = ("Fault", "Wire", "books_of", "errors", "gateway_to", "standin_in_memory")
