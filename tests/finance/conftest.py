"""The staff's rooms by themselves: a small application, a seeded world, and somebody of each role at the door."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
import msgspec
import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.rules import feature_list
from billing.catalog.values import Catalogue
from billing.finance import service
from billing.finance.openid import OidcSettings, OpenIdClient, Person
from billing.finance.routes import reading_router
from billing.finance.routes_acts import acting_router
from billing.finance.routes_books import books_router
from billing.finance.routes_door import Entrance
from billing.finance.routes_login import login_router
from billing.finance.rules import Role
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.door import Door
from billing.kernel.pages import Seller
from billing.kernel.web import tell
from billing.kernel.web_pages import Site
from billing.payments.stripe_gateway import StripeGateway
from entitlements.reader import FactsReader
from tests.finance.world import CATALOGUE, World, seed

HOME = "http://127.0.0.1:8080"
SECRET = "k" * 40
SELLER = Seller(**msgspec.structs.asdict(CATALOGUE.seller))


def settings(public_url: str = HOME, **other: str) -> OidcSettings:
    given = {
        "issuer": f"{public_url}/sandbox/openid",
        "client_id": "billing",
        "client_secret": "secret",
        "roles_claim": "roles",
        "public_url": public_url,
    }
    return OidcSettings(**(given | other))


def rooms(database: Database, clock: FixedClock, oidc: OidcSettings, catalogue: Catalogue = CATALOGUE) -> Litestar:
    """An application with nothing but the staff's rooms in it, as the product wires them."""

    async def session() -> AsyncGenerator[AsyncSession]:
        async with database.begin() as unit:
            yield unit

    given: dict[str, Any] = {
        "database": database,
        "catalogue": catalogue,
        "features": feature_list(CATALOGUE),
        "facts": FactsReader(database),
        "site": Site(public_url=oidc.public_url, secret=SECRET, seller=SELLER, payment_origins=()),
        "gateway": StripeGateway("sk_test_finance", "http://127.0.0.1:1"),
    }
    entrance = Entrance(
        database=database, clock=clock, openid=OpenIdClient(oidc), secret=SECRET, public_url=oidc.public_url
    )
    app = Litestar(
        [login_router, reading_router, acting_router, books_router],
        dependencies={
            "session": Provide(session),
            "at": Provide(clock.now, sync_to_thread=False),
            **{name: Provide(_constant(value), sync_to_thread=False) for name, value in given.items()},
        },
        exception_handlers={Exception: tell},
        state=State({"entrance": entrance, "public_url": oidc.public_url}),
        openapi_config=None,
    )
    app.asgi_handler = cast("Any", Door(cast("Any", app.asgi_handler), oidc.public_url))
    return app


def _constant(value: Any) -> Any:
    return lambda: value


def browser(app: Litestar, base: str = HOME) -> httpx2.AsyncClient:
    """Somebody's browser at these rooms, by the product's door."""
    transport = httpx2.ASGITransport(cast("Any", app))
    return httpx2.AsyncClient(transport=transport, base_url=base)


@pytest.fixture
async def world(database: Database, clock: FixedClock) -> World:
    async with database.begin() as session:
        return await seed(session, clock.now())


@pytest.fixture
def app(database: Database, clock: FixedClock) -> Litestar:
    return rooms(database, clock, settings())


async def let_in(database: Database, clock: FixedClock, role: Role) -> str:
    """The token of a session of that role."""
    person = Person(subject=f"s-{role}", name=f"Ola {role}", email="", claims={})
    async with database.begin() as session:
        return await service.log_in(session, person, role, None, clock.now())


@asynccontextmanager
async def staff(app: Litestar, database: Database, clock: FixedClock, role: Role) -> AsyncGenerator[httpx2.AsyncClient]:
    """The browser of somebody of that role who is logged in."""
    async with browser(app) as made:
        made.cookies.set("staff", await let_in(database, clock, role))
        yield made


@pytest.fixture
async def lead(app: Litestar, database: Database, clock: FixedClock) -> AsyncIterator[httpx2.AsyncClient]:
    """A finance lead."""
    async with staff(app, database, clock, "finance_lead") as made:
        yield made


@pytest.fixture
async def clerk(app: Litestar, database: Database, clock: FixedClock) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody of finance who is no lead."""
    async with staff(app, database, clock, "finance") as made:
        yield made
