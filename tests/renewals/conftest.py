"""Houses that sell what renews."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.renewals.house import RenewingHouse, build_renewing, catalogue_file
from tests.services.conftest import NIGHTS, standing


@asynccontextmanager
async def opened(database_url: str, folder: Path, catalogue: Path) -> AsyncGenerator[RenewingHouse]:
    """As of other houses, without the work of every night."""
    async with standing(folder, partial(build_renewing, database_url, catalogue=catalogue)) as house:
        house.works = tuple(work for work in house.works if work.name not in NIGHTS)
        yield house


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[RenewingHouse]:
    """One house on a fresh database, with the monthly product on sale."""
    async with opened(database_url, tmp_path, catalogue_file(tmp_path)) as made:
        yield made
