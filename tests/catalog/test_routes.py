from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from billing.catalog.routes import catalog_router
from billing.catalog.service import load
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.keys import KeyRing, Scope, create_key
from billing.kernel.limits import Limiter
from billing.kernel.web import tell


@pytest.fixture
async def client(database: Database, clock: FixedClock) -> AsyncIterator[httpx2.AsyncClient]:
    catalogue = load()
    app = Litestar(
        route_handlers=[catalog_router],
        dependencies={
            "catalogue": Provide(lambda: catalogue, sync_to_thread=False),
            "at": Provide(clock.now, sync_to_thread=False),
        },
        exception_handlers={Exception: tell},
        state=State({"key_ring": KeyRing(database, clock), "limiter": Limiter(None), "public_url": "http://test"}),
    )
    transport = httpx2.ASGITransport(cast("Any", app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def bearer(database: Database, clock: FixedClock, scope: Scope) -> dict[str, str]:
    async with database.begin() as session:
        _, key = create_key(session, clock.now(), "app", (scope,), mode="test")
    return {"authorization": f"Bearer {key}"}


async def test_the_catalogue_shows_what_is_on_sale_now(
    client: httpx2.AsyncClient, database: Database, clock: FixedClock
) -> None:
    headers = await bearer(database, clock, "entitlements:read")
    answer = (await client.get("/v1/catalog", headers=headers)).json()
    assert (answer["object"], answer["as_of"]) == ("catalog", "2026-09-01T08:00:00Z")
    (product,) = answer["products"]
    assert product["features"] == ["messages", "desk_view", "push_notifications", "homework"]
    assert product["price"] == {"amount": 4499, "currency": "PLN"}
    assert product["vat"] == {"amount": 841, "currency": "PLN"}
    assert (product["first_day"], product["last_day"]) == ("2026-09-01", "2027-06-30")
    assert (product["renews"], product["reduced"], product["lowest_30_days"]) == (False, False, None)
    assert {feature["feature"] for feature in answer["features"] if feature["kind"] == "basic"} == {
        "grades", "absences", "timeline", "timetable", "calendar", "multiaccount",
    }  # fmt: skip


async def test_r6_in_june_the_next_season_is_shown(
    client: httpx2.AsyncClient, database: Database, clock: FixedClock
) -> None:
    clock.move(datetime(2027, 6, 15, 8, tzinfo=UTC))
    headers = await bearer(database, clock, "entitlements:read")
    (product,) = (await client.get("/v1/catalog", headers=headers)).json()["products"]
    assert (product["season"], product["first_day"]) == ("2027/28", "2027-07-01")


async def test_the_catalogue_is_for_callers_with_the_scope_and_knows_its_query(
    client: httpx2.AsyncClient, database: Database, clock: FixedClock
) -> None:
    writer = await bearer(database, clock, "accounts:write")
    reader = await bearer(database, clock, "entitlements:read")
    assert (await client.get("/v1/catalog")).status_code == 401
    assert (await client.get("/v1/catalog", headers=writer)).status_code == 403
    assert (await client.get("/v1/catalog?day=1", headers=reader)).status_code == 400
