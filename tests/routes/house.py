"""The whole application in this process: every router, the door, real PostgreSQL, real Valkey; callers with keys."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast

import httpx2
import msgspec
from litestar import Litestar

from billing.app import create_app
from billing.kernel.clock import Clock
from billing.kernel.db import Database
from billing.kernel.keys import SCOPES, create_key
from billing.kernel.settings import Settings, load
from billing.wiring import Services, build

_addresses = count()
HOME = "https://billing.test"
NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"
ADULT = {"email": "anna@example.pl", "kind": "guardian", "age_band": "adult", "email_confirmed": True}


def settings_of(database_url: str, broker_url: str, **more: str) -> Settings:
    """The settings of a place where everything but what is named is absent."""
    given = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "PUBLIC_URL": HOME,
        "STRIPE_API_KEY": "sk_test_piaskownica",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "STRIPE_WEBHOOK_SECRETS": "whsec_piaskownica",
        "SMTP_URL": "smtp://127.0.0.1:9",
        "MAIL_FROM": "billing@billing.test",
        "OIDC_ISSUER": "https://login.billing.test",
        "OIDC_CLIENT_ID": "billing",
        "OIDC_CLIENT_SECRET": "none",
        "SIGNING_KEYS": '{"keys": []}',
        "SECRET_KEY": "k" * 40,
        "POOL_SIZE": "20",
        **more,
    }
    return load({f"BILLING_{name}": value for name, value in given.items()})


class Api:
    """The application and those who call it, each with a key of one scope."""

    def __init__(self, app: Litestar, services: Services, keys: Mapping[str, tuple[str, str]]) -> None:
        self.app = app
        self.services = services
        self.keys = {scope: text for scope, (_, text) in keys.items()}
        self.key_ids = {scope: key_id for scope, (key_id, _) in keys.items()}
        transport = httpx2.ASGITransport(cast("Any", app), client=(f"203.0.113.{next(_addresses) % 250}", 40000))
        self.client = httpx2.AsyncClient(transport=transport, base_url=HOME)

    async def ask(
        self, method: str, path: str, body: Any = None, *, scope: str | None = "admin", headers: Any = None, **more: Any
    ) -> httpx2.Response:
        """One request with the key of a scope (None: without a key); a body is sent as JSON."""
        sent = dict(headers or {})
        if scope is not None:
            sent["authorization"] = f"Bearer {self.keys[scope]}"
        if body is not None:
            more["content"] = body if isinstance(body, bytes) else msgspec.json.encode(body)
            sent.setdefault("content-type", "application/json")
        return await self.client.request(method, path, headers=sent, **more)

    async def told(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of an answer that must be a good one."""
        answer = await self.ask(method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def family(self, account: str = "a1", *pupils: str, **changes: Any) -> None:
        """An adult's account with these pupils, each in a running trial."""
        await self.told("PUT", f"/v1/accounts/{account}", ADULT | changes)
        for pupil in pupils or ("p1",):
            await self.told("PUT", f"/v1/accounts/{account}/pupils/{pupil}", {"school": "sp5"})

    async def link(self, account: str = "a1", *pupils: str) -> str:
        """The path of a fresh activation link."""
        body = {"pupils": list(pupils or ("p1",))}
        made = await self.told("POST", f"/v1/accounts/{account}/activation-links", body)
        return str(made["url"]).removeprefix(HOME)


async def make_keys(database: Database, clock: Clock) -> dict[str, tuple[str, str]]:
    """A key for every scope: its id and its text."""
    at = clock.now()
    async with database.begin() as session:
        return {scope: create_key(session, at, scope, (scope,), mode="test") for scope in SCOPES}


@asynccontextmanager
async def opened(settings: Settings, clock: Clock, keys: Mapping[str, tuple[str, str]]) -> AsyncGenerator[Api]:
    """The application on these settings, closed at the end as production closes it."""
    services = build(settings, clock=clock)
    api = Api(create_app(services), services, keys)
    try:
        async with api.client:
            yield api
    finally:
        await services.close()
