"""A house for each test: real PostgreSQL, a real SMTP server, the stand-in Stripe behind real HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from billing.kernel.clock import FixedClock
from billing.sandbox.mailbox import Mailbox
from billing.sandbox.postgres import SUPERUSER, EmbeddedPostgres
from tests.conftest import TEMPLATE
from tests.gateway import description
from tests.gateway.world import living
from tests.services.house import House, build_house

BEGIN = datetime(2026, 9, 1, 8, tzinfo=UTC)
MakeHouse = Callable[[], Awaitable[House]]
NIGHTS = frozenset({"reconciliation.recent", "reconciliation.nightly", "invariants.ask"})
"""What looks at everything again and again: left out but where it is what a folder's tests are about."""

_ABOUT_NIGHTS = frozenset({"reconciliation", "invariants"})
_numbers = count()


async def clone(postgres: EmbeddedPostgres, template: str) -> str:
    """A database like another one, which nobody may be connected to; answers its name."""
    name = f"house_{next(_numbers)}"
    link = await asyncpg.connect(user=SUPERUSER, database="postgres", host=str(postgres.socket_folder))
    try:
        await link.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    finally:
        await link.close()
    return name


@asynccontextmanager
async def opened(database_url: str, folder: Path, *, nights: bool = False) -> AsyncGenerator[House]:
    """A house that stands at the beginning of September; afterwards all that Stripe heard and said is judged."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = FixedClock(BEGIN)
    mailbox = Mailbox(folder / "mailbox.db", clock.now)
    door = await mailbox.serve("127.0.0.1", 0)
    try:
        async with living(folder) as world:
            world.hands.at = BEGIN
            house = build_house(database_url, world, mailbox, door.sockets[0].getsockname()[1], clock)
            house.works = tuple(work for work in house.works if nights or work.name not in NIGHTS)
            try:
                yield house
            finally:
                await house.services.close()
    finally:
        door.close()
        mailbox.close()
    if description.available():
        assert description.audit_store(folder / "stripe.db") == []


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
            name = await clone(postgres, TEMPLATE)
            return await stack.enter_async_context(opened(postgres.url(name), tmp_path / name, nights=nights))

        yield make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The library hands httpx its body in a way that httpx calls old."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"))
