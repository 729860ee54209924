"""The small catalogue of these tests, and a desk that is nothing but the entitlements router."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from litestar import Litestar
from litestar.datastructures import State

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.door import Door
from billing.kernel.keys import KeyRing, create_key
from billing.kernel.limits import Limiter
from billing.kernel.web import tell
from entitlements.facts import Facts
from entitlements.features import FeatureList
from entitlements.means import Means
from entitlements.reader import FactsReader
from entitlements.routes import entitlements_router
from tests.entitlements.machines import Machine

FEATURES = FeatureList(
    basic=frozenset({"grades", "absences"}), add_ons=frozenset({"messages", "homework", "push_notifications"})
)
NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"


def desk(store: Database, facts: Facts, clock: FixedClock, limiter: Limiter | None = None) -> Litestar:
    """An application with only this room in it; keys are read from `store`, rights through `facts`."""
    return Litestar(
        route_handlers=[entitlements_router],
        exception_handlers={Exception: tell},
        state=standing(store, facts, clock, limiter),
    )


def standing(store: Database, facts: Facts, clock: FixedClock, limiter: Limiter | None = None) -> State:
    """What the room looks up in its application."""
    means = Means(FEATURES, facts, clock, KeyRing(store, clock), limiter or Limiter(None))
    return State(
        {
            "key_ring": means.key_ring,
            "limiter": means.limiter,
            "public_url": "http://desk.test",
            "means": means,
        }
    )


@pytest.fixture
async def key(database: Database, clock: FixedClock) -> str:
    """The text of a key that may read entitlements."""
    async with database.begin() as session:
        _, text = create_key(session, clock.now(), "app", ("entitlements:read",), mode="test")
    return text


def asking(app: Litestar, key: str) -> httpx2.AsyncClient:
    """Asks `app` through the product's door, in this event loop, with this key."""
    app.asgi_handler = cast("Any", Door(cast("Any", app.asgi_handler), "http://desk.test"))
    transport = httpx2.ASGITransport(cast("Any", app))
    headers = {"authorization": f"Bearer {key}", "x-request-id": "request-1"}
    return httpx2.AsyncClient(transport=transport, base_url="http://desk.test", headers=headers)


@pytest.fixture
async def machine(database: Database, tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine without processes yet, on which all of them share one snapshot of the database."""
    made = Machine(database.engine.url.render_as_string(hide_password=False), tmp_path / "snapshot")
    yield made
    await made.end()


@pytest.fixture
async def client(database: Database, clock: FixedClock, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Asks the desk with a good key."""
    async with asking(desk(database, FactsReader(database), clock), key) as made:
        yield made


@pytest.fixture
async def cut_off(database: Database, clock: FixedClock, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Asks a desk whose store of rights is not there."""
    gone = Database(NOWHERE)
    async with asking(desk(database, FactsReader(gone), clock), key) as made:
        yield made
    await gone.close()
