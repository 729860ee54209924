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
from tests.gateway.world import World
from tests.renewing.selling import Shop, catalogue_text
from tests.services.conftest import standing
from tests.services.house import House, settings

__all__ = ["products", "shop"]


@pytest.fixture
def products() -> str:
    """The text of the catalogue; a file of tests may sell something else."""
    return catalogue_text()


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, products: str) -> AsyncIterator[Shop]:
    """The pages, and a parent before them, at the beginning of September."""
    place = tmp_path / "products.toml"
    place.write_text(products, encoding="utf-8")

    def make(world: World, mailbox: Mailbox, smtp_port: int, clock: FixedClock) -> House:
        wanted = msgspec.structs.replace(settings(database_url, world.base, smtp_port), catalog=str(place))
        return House(build(wanted, clock=clock), world, mailbox, smtp_port, clock)

    async with standing(tmp_path, make) as house:
        transport = httpx2.ASGITransport(cast("Any", create_app(house.services)), client=("203.0.113.9", 40000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield Shop(house, client)
