"""A house for each test: real PostgreSQL, a real SMTP server, the stand-in Stripe behind real HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

from billing.kernel.clock import FixedClock
from billing.sandbox.mailbox import Mailbox
from billing.sandbox.postgres import EmbeddedPostgres
from tests.conftest import TEMPLATE, administer
from tests.gateway import description
from tests.gateway.world import World, living
from tests.services.house import House, build_house

BEGIN = datetime(2026, 9, 1, 8, tzinfo=UTC)
MakeHouse = Callable[[], Awaitable[House]]
H = TypeVar("H", bound=House)
NIGHTS = frozenset({"reconciliation.recent", "reconciliation.nightly", "invariants.ask"})
"""What looks at everything again and again: left out but where it is what a folder's tests are about."""

_ABOUT_NIGHTS = frozenset({"reconciliation", "invariants"})
_numbers = count()


@asynccontextmanager
async def cloned(postgres: EmbeddedPostgres, template: str) -> AsyncGenerator[str]:
    """A database like another one, which nobody may be connected to; yields its name, and is gone afterwards."""
    name = f"house_{next(_numbers)}"
    await administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield name
    await administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def standing(folder: Path, make: Callable[[World, Mailbox, int, FixedClock], H]) -> AsyncGenerator[H]:
    """A house as `make` builds it, at the beginning of September; afterwards what Stripe heard and said is judged."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = FixedClock(BEGIN)
    mailbox = Mailbox(folder / "mailbox.db", clock.now)
    door = await mailbox.serve("127.0.0.1", 0)
    try:
        async with living(folder) as world:
            world.hands.at = BEGIN
            house = make(world, mailbox, door.sockets[0].getsockname()[1], clock)
            try:
                yield house
            finally:
                await house.services.close()
    finally:
        door.close()
        mailbox.close()
    if description.available():
        assert description.audit_store(folder / "stripe.db") == []


@asynccontextmanager
async def opened(database_url: str, folder: Path, *, nights: bool = False) -> AsyncGenerator[House]:
    """A house on this database, with the work of every night only where it is asked for."""
    async with standing(folder, partial(build_house, database_url)) as house:
        house.works = tuple(work for work in house.works if nights or work.name not in NIGHTS)
        yield house


@pytest.fixture
async def house(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """One house on a fresh database."""
    async with opened(database_url, tmp_path, nights=request.path.parent.name in _ABOUT_NIGHTS) as made:
        yield made


@pytest.fixture
async def houses(
    postgres: EmbeddedPostgres, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[MakeHouse]:
    """As many houses as a test asks for, each with nothing in it."""
    nights = request.path.parent.name in _ABOUT_NIGHTS
    async with AsyncExitStack() as stack:

        async def make() -> House:
            name = await stack.enter_async_context(cloned(postgres, TEMPLATE))
            return await stack.enter_async_context(opened(postgres.url(name), tmp_path / name, nights=nights))

        yield make
