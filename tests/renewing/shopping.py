"""The pages of a house that sells what renews, as a browser asks for them: fixtures for the files that name them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest

from billing.app import create_app
from billing.kernel.clock import FixedClock
from billing.sandbox.mailbox import Mailbox
from billing.wiring import build
from tests.gateway import description
from tests.gateway.world import living
from tests.renewing.selling import Shop, catalogue_text
from tests.services.conftest import BEGIN
from tests.services.house import House, settings

__all__ = ["products", "shop"]


@pytest.fixture
def products() -> str:
    """The text of the catalogue; a file of tests may sell something else."""
    return catalogue_text()


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, products: str) -> AsyncIterator[Shop]:
    """The pages, and a parent before them, at the beginning of September; afterwards all that Stripe heard and said is
    judged."""
    place = tmp_path / "products.toml"
    place.write_text(products, encoding="utf-8")
    clock = FixedClock(BEGIN)
    mailbox = Mailbox(tmp_path / "mailbox.db", clock.now)
    door = await mailbox.serve("127.0.0.1", 0)
    port = door.sockets[0].getsockname()[1]
    try:
        async with living(tmp_path) as world:
            world.hands.at = BEGIN
            wanted = msgspec.structs.replace(settings(database_url, world.base, port), catalog=str(place))
            house = House(build(wanted, clock=clock), world, mailbox, port, clock)
            transport = httpx2.ASGITransport(cast("Any", create_app(house.services)), client=("203.0.113.9", 40000))
            try:
                async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                    yield Shop(house, client)
            finally:
                await house.services.close()
    finally:
        door.close()
        mailbox.close()
    if description.available():
        assert description.audit_store(tmp_path / "stripe.db") == []
