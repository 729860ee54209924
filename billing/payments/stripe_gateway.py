"""Stripe behind the wall: the only file that imports its library.

One call is one request: the library's own retries are off, since they would hide an unknown outcome. We repeat only
what was surely not done (429 and locks), a few times, with jitter; at most `_AT_ONCE` calls run at a time (F30).
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from itertools import count
from typing import Any, Final, cast

import msgspec
import stripe
import structlog

from billing.payments import requests, shapes
from billing.payments.facts import (
    API_VERSION,
    AccountFacts,
    Checkout,
    DisputeFacts,
    EventFacts,
    ListTooLong,
    OpenCheckout,
    OpenRefund,
    PaymentFacts,
    PriceFacts,
    ProductFacts,
    ProviderBusy,
    ProviderError,
    ProviderMissing,
    ProviderNotNow,
    ProviderRefused,
    ProviderUnknown,
    RefundFacts,
)
from billing.payments.line import Answer
from billing.payments.stretches import AT_ONCE
from billing.payments.stripe_books import StripeBooks
from billing.payments.stripe_renewals import StripeRenewals

_LIVE: Final = ("sk_live_", "rk_live_")
_PAGE: Final = 100
_TRIES: Final = 3
_LONGEST_PAUSE: Final = 2.0
_AT_ONCE: Final = 16
_BOOKED: Final = "latest_charge.balance_transaction"
_WITH_PAYMENT: Final = [f"payment_intent.{_BOOKED}"]
_NO_KEY, _NOT_ALLOWED, _NOT_FOUND, _CONFLICT, _TOO_MANY, _FAULT = 401, 403, 404, 409, 429, 500
_OUR_CAUSES: Final = frozenset(
    {
        "account_invalid",
        "api_key_expired",
        "balance_insufficient",
        "livemode_mismatch",
        "platform_api_key_expired",
        "secret_key_required",
        "testmode_charges_only",
    }
)
"""Stripe's codes that speak of our account, not of what was asked (F31)."""

log = structlog.get_logger(__name__)

stripe.enable_telemetry = False


class StripeGateway:
    """The wall's other side. `api_base` is Stripe's address or a stand-in's; `timeout` is in seconds."""

    def __init__(self, api_key: str, api_base: str, *, timeout: float = 15) -> None:
        self._livemode = api_key.startswith(_LIVE)
        self._http = stripe.HTTPXClient(timeout=timeout)
        self._stripe = stripe.StripeClient(
            api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            max_network_retries=0,
            http_client=self._http,
        )
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.books = StripeBooks(self)
        self.renewals = StripeRenewals(self)

    @property
    def v1(self) -> Any:
        """Stripe's resources, as its library names them."""
        return self._stripe.v1

    @property
    def livemode(self) -> bool:
        """Whether the key is one for real money; every object read must agree."""
        return self._livemode

    async def open_checkout(self, wanted: OpenCheckout) -> Checkout:
        """Open a payment page. No e-mail, no stored method, no invoice of Stripe's (R4, R37, R61)."""
        sessions, body = self._stripe.v1.checkout.sessions, requests.checkout(wanted)
        raw = await self.ask(lambda: sessions.create_async(body, {"idempotency_key": wanted.key}))
        page = shapes.checkout(raw, livemode=self._livemode)
        if (page.amount_total, page.currency, page.reference) != (wanted.total, wanted.currency, wanted.reference):
            raise shapes.unreadable("the page asks for something else than we did")
        return page

    async def read_checkout(self, session_id: str) -> Checkout:
        """The page as it stands, with its payment."""
        sessions = self._stripe.v1.checkout.sessions
        raw = await self.ask(lambda: sessions.retrieve_async(session_id, {"expand": _WITH_PAYMENT}))
        return shapes.checkout(raw, livemode=self._livemode)

    async def find_checkout(self, reference: str, since: datetime) -> Checkout | None:
        """Stripe cannot search by reference, so every page since then is looked at."""
        created = {"created": {"gte": int(since.timestamp())}}
        async for raw in self.all_of(self._stripe.v1.checkout.sessions.list_async, created):
            page = shapes.read(raw, shapes.Named)
            if page.client_reference_id == reference:
                return await self.read_checkout(page.id)
        return None

    async def expire_checkout(self, session_id: str, key: str) -> Checkout:
        """Close an open page; Stripe refuses for one that is not open, which is then read."""
        sessions = self._stripe.v1.checkout.sessions
        try:
            await self.ask(lambda: sessions.expire_async(session_id, {}, {"idempotency_key": key}))
        except ProviderMissing:
            raise
        except ProviderRefused:
            page = await self.read_checkout(session_id)
            if page.status == "open":
                raise
            return page
        return await self.read_checkout(session_id)

    async def checkout_of(self, payment_id: str) -> Checkout | None:
        """The payment page a payment came from."""
        only = {"payment_intent": payment_id}
        async for raw in self.all_of(self._stripe.v1.checkout.sessions.list_async, only):
            return await self.read_checkout(shapes.read(raw, shapes.Named).id)
        return None

    async def refund(self, wanted: OpenRefund) -> RefundFacts:
        """Give money back to where it came from."""
        body: Any = {
            "payment_intent": wanted.payment_id,
            "amount": wanted.amount,
            "metadata": {"refund": wanted.reference, "order": wanted.order},
        }
        raw = await self.ask(lambda: self._stripe.v1.refunds.create_async(body, {"idempotency_key": wanted.key}))
        return shapes.refund(raw)

    async def read_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it stands."""
        return shapes.refund(await self.ask(lambda: self._stripe.v1.refunds.retrieve_async(refund_id)))

    async def find_refund(self, payment_id: str, reference: str) -> RefundFacts | None:
        """Among all refunds of the payment, the one that carries our reference."""
        async for raw in self.all_of(self._stripe.v1.refunds.list_async, {"payment_intent": payment_id}):
            found = shapes.refund(raw)
            if found.reference == reference:
                return found
        return None

    async def read_payment(self, payment_id: str) -> PaymentFacts | None:
        """The captured money of a payment."""
        intents = self._stripe.v1.payment_intents
        raw = await self.ask(lambda: intents.retrieve_async(payment_id, {"expand": [_BOOKED]}))
        return shapes.payment_of(shapes.read(raw, shapes.PaymentIntent), livemode=self._livemode)

    async def read_dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute as it stands."""
        raw = await self.ask(lambda: self._stripe.v1.disputes.retrieve_async(dispute_id))
        return shapes.dispute(raw, livemode=self._livemode)

    async def list_events(
        self, since: datetime, until: datetime, types: tuple[str, ...] = (), *, undelivered: bool = False
    ) -> tuple[EventFacts, ...]:
        """Stripe lists the newest first and keeps 30 days."""
        wanted: dict[str, Any] = {"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}}
        if types:
            wanted["types"] = list(types)
        if undelivered:
            wanted["delivery_success"] = False
        listed = self.all_of(self._stripe.v1.events.list_async, wanted, AT_ONCE)
        found = [shapes.event(raw) async for raw in listed]
        return tuple(reversed(found))

    async def find_product(self, product: str) -> ProductFacts | None:
        """The product of that id."""
        try:
            return shapes.product(await self.ask(lambda: self._stripe.v1.products.retrieve_async(product)))
        except ProviderMissing:
            return None

    async def find_price(self, lookup_key: str) -> PriceFacts | None:
        """The price that holds the lookup key now."""
        raw = await self._price(lookup_key)
        return None if raw is None else shapes.price(raw)

    async def put_product(self, product: ProductFacts, key: str) -> None:
        """Products have ids of our choosing; changing one twice is the same as once."""
        products = self._stripe.v1.products
        facts: Any = {"name": product.name, "active": product.active}
        if await self.find_product(product.product) is None:
            made: Any = {"id": product.product, **facts}
            await self.ask(lambda: products.create_async(made, {"idempotency_key": key}))
        else:
            await self.ask(lambda: products.update_async(product.product, facts))

    async def put_price(self, price: PriceFacts, key: str) -> None:
        """A price that is there and only switched off is switched on; any other takes over the lookup key."""
        prices = self._stripe.v1.prices
        raw = await self._price(price.lookup_key)
        if raw is not None and msgspec.structs.replace(shapes.price(raw), active=price.active) == price:
            there, change = shapes.read(raw, shapes.Named).id, cast("Any", {"active": price.active})
            await self.ask(lambda: prices.update_async(there, change))
            return
        made: Any = {
            "product": price.product,
            "unit_amount": price.unit_amount,
            "currency": price.currency.lower(),
            "lookup_key": price.lookup_key,
            "transfer_lookup_key": raw is not None,
            "tax_behavior": "inclusive",
        }
        if price.interval is not None:
            made["recurring"] = {"interval": price.interval}
        await self.ask(lambda: prices.create_async(made, {"idempotency_key": key}))

    async def account(self) -> AccountFacts:
        """Any reading call proves the key and the version."""
        await self.ask(lambda: self._stripe.v1.events.list_async({"limit": 1}))
        return AccountFacts(livemode=self._livemode, api_version=API_VERSION)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close_async()

    async def _price(self, lookup_key: str) -> dict[str, Any] | None:
        async for raw in self.all_of(self._stripe.v1.prices.list_async, {"lookup_keys": [lookup_key]}):
            return raw
        return None

    async def all_of(
        self, listing: Callable[[Any], Awaitable[Answer]], wanted: dict[str, Any], most: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Every object of a list, page by page, the newest first. Raises ListTooLong where there are more than `most`,
        rounded up to a page, and never stops before the end."""
        after: dict[str, Any] = {}
        for _ in count() if most is None else range(0, most, _PAGE):
            asked = {**wanted, **after, "limit": _PAGE}
            page = shapes.read(await self.ask(lambda asked=asked: listing(asked)), shapes.Listing)
            for raw in page.data:
                yield raw
                after = {"starting_after": shapes.read(raw, shapes.Named).id}
            if not page.has_more or not page.data:
                return
        raise ListTooLong("The list is too long to be read to its end.")

    async def ask(self, call: Callable[[], Awaitable[Answer]]) -> dict[str, Any]:
        """One answer as plain data; a call that was surely not done for want of room is repeated."""
        for number in range(1, _TRIES + 1):
            try:
                async with self._slots:
                    return (await call()).to_dict(for_json=True)
            except stripe.StripeError as fault:
                error = _error_of(fault)
            if isinstance(error, ProviderNotNow):
                log.error("provider_needs_people", **error.facts)
                raise error
            if not isinstance(error, ProviderBusy) or number == _TRIES:
                raise error
            await asyncio.sleep(min(0.1 * 2**number, _LONGEST_PAUSE) * (0.5 + secrets.randbelow(1000) / 1000))
        raise ProviderBusy("The payment provider is busy.", retry_after=5)


def _error_of(fault: stripe.StripeError) -> ProviderError:
    """Done, not done, or unknown; the provider's words stay behind the wall, its code comes along."""
    status, reason = fault.http_status or 0, str(fault.code or type(fault).__name__)
    if isinstance(fault, stripe.RateLimitError) or status in {_TOO_MANY, _CONFLICT} or reason == "lock_timeout":
        return ProviderBusy("The payment provider is busy.", retry_after=5, reason=reason)
    if isinstance(fault, (stripe.APIConnectionError, stripe.IdempotencyError)):
        return ProviderUnknown("The payment provider does not answer.", reason=type(fault).__name__)
    if not status or status >= _FAULT or isinstance(fault, stripe.APIError):
        return ProviderUnknown("The payment provider has a fault.", reason=reason, provider_status=status)
    if status in {_NO_KEY, _NOT_ALLOWED} or reason in _OUR_CAUSES:
        words = "The payment provider does nothing for us now."
        return ProviderNotNow(words, retry_after=60, reason=reason, provider_status=status)
    refused = ProviderMissing if status == _NOT_FOUND or reason == "resource_missing" else ProviderRefused
    return refused("The payment provider refused the request.", reason=reason, status=status)
