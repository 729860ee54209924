"""What the product's gateway asks of Stripe's library, without the library's own objects: three times as quick.

The requests, the wire, the stand-in and the product's reading of what comes back are the same; `test_direct.py` shows
that both ways say the same.
"""

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import stripe

from billing.sandbox.stripe import StripeStandIn
from tests.gateway.world import KEY
from tests.histories.direct import BASE, Wire

_HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
_GOOD, _FAULT, _TOO_MANY = 200, 500, 429


class Plain(dict[str, Any]):
    """An object of Stripe's, as the data it is."""

    def to_dict(self, recursive: bool = True, for_json: bool = False) -> dict[str, Any]:  # noqa: FBT002
        return self


class Resource:
    """The calls about one kind of object."""

    def __init__(self, wire: Wire, path: str) -> None:
        self._wire = wire
        self._path = path

    async def create_async(self, params: Any = None, options: Any = None) -> Plain:
        return await self._call("post", "", params, options)

    async def retrieve_async(self, key: str, params: Any = None, options: Any = None) -> Plain:
        return await self._call("get", f"/{key}", params, options)

    async def update_async(self, key: str, params: Any = None, options: Any = None) -> Plain:
        return await self._call("post", f"/{key}", params, options)

    async def expire_async(self, key: str, params: Any = None, options: Any = None) -> Plain:
        return await self._call("post", f"/{key}/expire", params, options)

    async def list_async(self, params: Any = None, options: Any = None) -> Plain:
        return await self._call("get", "", params, options)

    async def _call(self, method: str, path: str, params: Any, options: Any) -> Plain:
        sent = urlencode(list(_flat(params or {})))
        url = f"{BASE}{self._path}{path}"
        headers = dict(_HEADERS)
        if options and options.get("idempotency_key"):
            headers["idempotency-key"] = options["idempotency_key"]
        if method == "get":
            body, status, _ = await self._wire.request_async(method, f"{url}?{sent}", headers)
        else:
            body, status, _ = await self._wire.request_async(method, url, headers, sent)
        said = json.loads(body)
        if status == _GOOD:
            return Plain(said)
        raise _error(status, said["error"])


def _flat(given: Any, at: str = "") -> Any:
    """Nested parameters as Stripe's forms write them."""
    pairs = given.items() if isinstance(given, dict) else enumerate(given)
    for name, value in pairs:
        path = f"{at}[{name}]" if at else str(name)
        if isinstance(value, dict | list | tuple):
            yield from _flat(value, path)
        elif isinstance(value, bool):
            yield path, "true" if value else "false"
        elif value is not None:
            yield path, str(value)


def _error(status: int, said: dict[str, Any]) -> stripe.StripeError:
    words = str(said.get("message"))
    if status == _TOO_MANY:
        return stripe.RateLimitError(words, http_status=status, code=said.get("code"))
    if status >= _FAULT:
        return stripe.APIError(words, http_status=status)
    if said.get("type") == "idempotency_error":
        return stripe.IdempotencyError(words, http_status=status, code=said.get("code"))
    return stripe.InvalidRequestError(words, said.get("param"), http_status=status, code=said.get("code"))


def plug_in(gateway: Any, standin: StripeStandIn) -> Wire:
    """Put the product's gateway on a wire of ours, past the library's objects."""
    wire = Wire(standin)
    kinds = ("refunds", "payment_intents", "disputes", "events", "products", "prices", "charges", "invoices")
    v1 = SimpleNamespace(**{kind: Resource(wire, f"/v1/{kind}") for kind in (*kinds, "subscriptions", "customers")})
    v1.checkout = SimpleNamespace(sessions=Resource(wire, "/v1/checkout/sessions"))
    gateway._stripe = SimpleNamespace(v1=v1)
    return wire
