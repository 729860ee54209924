"""Everything that is outside the product, in one process: Stripe, mailbox, log-in, and the clock's controls."""

from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any, Protocol

import msgspec
from litestar import Litestar, Response, get, post
from litestar.datastructures import State

from billing.kernel.days import iso
from billing.kernel.web import request_id_of, tell
from billing.sandbox.front import front_router
from billing.sandbox.mailbox import Mailbox
from billing.sandbox.mailbox_routes import mailbox_router
from billing.sandbox.moves import target
from billing.sandbox.openid import PERSONAS, OpenIdProvider
from billing.sandbox.openid_routes import openid_router
from billing.sandbox.web import AnyRequest, body_of, json_answer

App = Callable[[Any, Any, Any], Awaitable[None]]
STRIPE = "/sandbox/stripe"


class Conductor(Protocol):
    """Leads the product through time."""

    def now(self) -> datetime:
        """The shared clock's instant."""
        ...

    async def drain(self) -> dict[str, int]:
        """Runs all work that is due now; answers when none is left, with how many pieces of each kind ran."""
        ...

    async def advance(self, to: datetime) -> dict[str, int]:
        """Moves the clock there, stopping wherever something falls due. Raises ``ClockBackwards``."""
        ...


class Facts(msgspec.Struct, frozen=True):
    """What a stranger needs to use the sandbox; ``api_key`` is asked for late, as seeding makes it."""

    public_url: str
    webhook_secret: str
    api_key: Callable[[], str | None]


class _Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    advance: str | None = None
    to: str | None = None


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Outside:
    """The ASGI application: Stripe's stand-in below ``/sandbox/stripe``, the rest by Litestar."""

    def __init__(
        self, *, conductor: Conductor, stripe: App, mailbox: Mailbox, provider: OpenIdProvider, facts: Facts
    ) -> None:
        """All parts are given; nothing is started here."""
        self._stripe = stripe
        self._rest = Litestar(
            [
                *_controls(conductor, facts),
                front_router(conductor.now, conductor.advance),
                mailbox_router(mailbox),
                openid_router(provider),
            ],
            exception_handlers={Exception: tell},
            openapi_config=None,
            state=State({"public_url": facts.public_url}),
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """One request; those to Stripe see paths as Stripe has them, from ``/v1/``."""
        if scope["type"] == "http":
            inbound = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
            scope.setdefault("state", {})["request_id"] = request_id_of(inbound)
            path: str = scope["path"]
            if path.startswith(f"{STRIPE}/"):
                within = {"path": path.removeprefix(STRIPE), "root_path": scope.get("root_path", "") + STRIPE}
                raw = scope.get("raw_path") or path.encode()
                await self._stripe({**scope, **within, "raw_path": raw.removeprefix(STRIPE.encode())}, receive, send)
                return
        await self._rest(scope, receive, send)  # pyright: ignore[reportArgumentType] - the same ASGI, named otherwise


def _controls(conductor: Conductor, facts: Facts) -> list[Any]:
    """What tells of the sandbox and moves its clock."""

    @get("/sandbox/info")
    async def info() -> Response[bytes]:
        base = facts.public_url
        return json_answer(
            {
                "api_key": facts.api_key(),
                "now": iso(conductor.now()),
                "stripe_base": base + STRIPE,
                "webhook_secret": facts.webhook_secret,
                "mailbox": f"{base}/sandbox/mailbox",
                "finance": f"{base}/finance/",
                "staff": [{"role": one.role, "login": one.login, "name": one.name} for one in PERSONAS],
            }
        )

    @get("/sandbox/clock")
    async def clock() -> Response[bytes]:
        return json_answer({"now": iso(conductor.now())})

    @post("/sandbox/clock")
    async def move(request: AnyRequest) -> Response[bytes]:
        asked = await body_of(request, _Move)
        ran = await conductor.advance(target(conductor.now(), asked.advance, asked.to))
        return json_answer({"now": iso(conductor.now()), "ran": ran})

    @post("/sandbox/drain")
    async def drain(request: AnyRequest) -> Response[bytes]:
        if await request.body():
            await body_of(request, _Nothing)
        ran = await conductor.drain()
        return json_answer({"now": iso(conductor.now()), "ran": ran})

    return [info, clock, move, drain]
