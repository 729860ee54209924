"""Fixtures that everybody uses: a PostgreSQL of our own for the run, and a fresh, migrated database for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.sandbox.postgres import SUPERUSER, EmbeddedPostgres
from tests.schema import make_schema

settings.register_profile("shared machine", deadline=None)  # no test promises an absolute time
settings.load_profile("shared machine")

_numbers = count()
TEMPLATE = "template_billing"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Everything asynchronous here runs on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for all tests of this process, with a migrated template database."""
    folder: Path = tmp_path_factory.mktemp("postgres")
    settings = {"max_connections": "300", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with EmbeddedPostgres(folder, durable=False, settings=settings) as server:
        server.make_database(TEMPLATE)
        make_schema(server.url(TEMPLATE))
        yield server


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> str:
    """The address of a fresh database with all tables and nothing in them."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_clone(postgres, name))
    return postgres.url(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with all tables and nothing in them."""
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
def at() -> datetime:
    """An ordinary instant: Tuesday 1 September 2026, 10:00 in Warsaw."""
    return datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.fixture
def clock(at: datetime) -> FixedClock:
    """A clock that stands at `at` until it is moved."""
    return FixedClock(at)


async def _clone(server: EmbeddedPostgres, name: str) -> None:
    link = await asyncpg.connect(user=SUPERUSER, database="postgres", host=str(server.socket_folder))
    try:
        await link.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    finally:
        await link.close()
