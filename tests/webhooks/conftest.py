"""The mail room alone: its route, its inbox, a clock, two secrets."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from sqlalchemy import select

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.door import Door as HouseDoor
from billing.kernel.web import tell
from billing.payments.facts import API_VERSION
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import KEY, START, World, living
from webhooks.inbox import EventRow
from webhooks.keeping import Intake
from webhooks.routes import MailRoom, webhooks_router
from webhooks.signature import sign
from webhooks.slot import LetterSlot

SECRETS = ("whsec_new", "whsec_old")


@pytest.fixture
def at() -> datetime:
    """The instant at which the stand-in begins."""
    return START


class Door:
    """What Stripe sees of us."""

    def __init__(self, client: httpx2.AsyncClient, clock: FixedClock) -> None:
        self.client = client
        self.clock = clock

    async def knock(self, body: bytes, *headers: bytes) -> httpx2.Response:
        """Send these bytes under these signatures."""
        given = [(b"content-type", b"application/json"), *((b"stripe-signature", header) for header in headers)]
        return await self.client.post("/webhooks/stripe", content=body, headers=given)

    async def send(self, body: bytes, secret: str = SECRETS[0]) -> httpx2.Response:
        """Send bytes rightly signed, now."""
        return await self.knock(body, sign(body, secret, int(self.clock.now().timestamp())))


def mail_room_of(database: Database, clock: FixedClock) -> MailRoom:
    """What both ways in stand on."""
    return MailRoom(intake=Intake(database), secrets=SECRETS, expects_livemode=False, clock=clock)


def route_of(mail_room: MailRoom) -> Litestar:
    """The typed route behind the one error map and the house's door."""
    app = Litestar(
        route_handlers=[webhooks_router],
        dependencies={"mail_room": Provide(lambda: mail_room, sync_to_thread=False)},
        exception_handlers={Exception: tell},
        state=State({"public_url": "http://test"}),
    )
    app.asgi_handler = cast("Any", HouseDoor(cast("Any", app.asgi_handler), "http://test"))
    return app


def slot_of(mail_room: MailRoom) -> Litestar:
    """The same, with the letter slot before it."""
    app = route_of(mail_room)
    app.asgi_handler = cast("Any", LetterSlot(cast("Any", app.asgi_handler), mail_room))
    return app


@asynccontextmanager
async def door_of(
    database: Database, clock: FixedClock, way_in: Callable[[MailRoom], Litestar] = slot_of
) -> AsyncGenerator[Door]:
    """What Stripe knocks at."""
    transport = httpx2.ASGITransport(cast("Any", way_in(mail_room_of(database, clock))))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Door(client, clock)


@pytest.fixture(params=[slot_of, route_of])
async def door(request: pytest.FixtureRequest, database: Database, clock: FixedClock) -> AsyncIterator[Door]:
    """The mail room's door: whatever holds at the letter slot holds at the typed route."""
    async with door_of(database, clock, request.param) as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A stand-in behind a real server."""
    async with living(tmp_path) as made:
        yield made


@pytest.fixture
async def gateway(world: World) -> AsyncIterator[StripeGateway]:
    """The product's own gateway, pointed at the stand-in."""
    made = StripeGateway(KEY, world.base, timeout=3)
    yield made
    await made.close()


def event(**changes: Any) -> bytes:
    """An event of Stripe's shape."""
    whole = {
        "id": "evt_1",
        "object": "event",
        "api_version": API_VERSION,
        "created": 1788249600,
        "data": {"object": {"id": "cs_test_1", "object": "checkout.session"}},
        "livemode": False,
        "type": "checkout.session.completed",
        **changes,
    }
    return msgspec.json.encode(whole)


async def kept(database: Database) -> list[EventRow]:
    """The inbox."""
    async with database.begin() as session:
        return list(await session.scalars(select(EventRow).order_by(EventRow.received_at, EventRow.id)))
