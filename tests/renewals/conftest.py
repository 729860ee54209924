"""Houses that sell what renews."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from billing.kernel.clock import FixedClock
from billing.sandbox.mailbox import Mailbox
from tests.gateway import description
from tests.gateway.world import living
from tests.renewals.house import RenewingHouse, build_renewing, catalogue_file
from tests.services.conftest import BEGIN, NIGHTS


@asynccontextmanager
async def opened(database_url: str, folder: Path, catalogue: Path) -> AsyncGenerator[RenewingHouse]:
    """As of other houses; afterwards all that Stripe heard and said is judged."""
    clock = FixedClock(BEGIN)
    mailbox = Mailbox(folder / "mailbox.db", clock.now)
    door = await mailbox.serve("127.0.0.1", 0)
    try:
        async with living(folder) as world:
            world.hands.at = BEGIN
            port = door.sockets[0].getsockname()[1]
            house = build_renewing(database_url, world, mailbox, port, clock, catalogue)
            house.works = tuple(work for work in house.works if work.name not in NIGHTS)
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
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[RenewingHouse]:
    """One house on a fresh database, with the monthly product on sale."""
    async with opened(database_url, tmp_path, catalogue_file(tmp_path)) as made:
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The library hands httpx its body in a way that httpx calls old."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"))
