"""Fixtures that everybody uses: a PostgreSQL of our own for the run, and a fresh, migrated database for each test."""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TextIO

import asyncpg
import pytest
import structlog
from hypothesis import settings

from billing.kernel import logs
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.sandbox.postgres import SUPERUSER, EmbeddedPostgres
from billing.sandbox.valkey import EmbeddedValkey
from tests.schema import make_schema

settings.register_profile("shared machine", deadline=None)  # no test promises an absolute time
settings.load_profile("shared machine")

_numbers = count()
TEMPLATE = "template_billing"
ENOUGH = 4 << 30
"""Bytes free in memory for the databases of tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed N --history K` lives through one generated history again, `--histories N` through so many of them."""
    group = parser.getgroup("histories")
    group.addoption("--seed", type=int, default=1, help="the seed of the generated histories")
    group.addoption("--histories", type=int, default=None, help="how many histories are generated")
    group.addoption(
        "--history", type=int, default=None, help="live through this one alone, and cut it short if it fails"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that all processes end together; last, by one process while there is other work, what uses
    the running sandbox, so that no second one is started."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, float]:
    patience = item.get_closest_marker("timeout")
    longest = float(patience.args[0]) if patience else float(item.get_closest_marker("slow") is not None)
    return "sandbox" in getattr(item, "fixturenames", ()), -longest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Everything asynchronous here runs on asyncio, as the product's workers do. Not on uvloop: there a server that
    hangs up is noticed only when the client's patience ends, and stories about such servers take minutes."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def quick_process() -> Iterator[None]:
    """What makes every test of this process cheaper: logs as the product writes them, since the library's own way tells
    an exception with all local values; and no search for garbage among all that was ever imported."""
    logs.configure("debug")
    structlog.configure(cache_logger_on_first_use=False)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    yield
    logs.settle()  # while what is written is still caught


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for all tests of this process, with a migrated template database."""
    settings = {
        "max_connections": "300", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
        "autovacuum": "off",  # it would visit every database of every test, again and again
    }  # fmt: skip
    with in_memory(tmp_path_factory) as folder, EmbeddedPostgres(folder, durable=False, settings=settings) as server:
        server.make_database(TEMPLATE)
        make_schema(server.url(TEMPLATE))
        yield server


@contextmanager
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A folder in memory where the machine has room for it, else an ordinary one: to make and drop a database for each
    test is the work of a file system."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free >= ENOUGH:
        for left in memory.glob("billing-tests-*-*"):  # by runs that were killed
            if not Path("/proc", left.name.split("-")[2]).exists():
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"billing-tests-{os.getpid()}-", dir=memory) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("postgres")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The address of a fresh database with all tables and nothing in them, gone when the test is over."""
    name = f"test_{next(_numbers)}"
    asyncio.run(administer(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY"))
    yield postgres.url(name)
    asyncio.run(administer(postgres, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One broker for all tests of this process; what they keep there has names of its own."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


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


async def administer(server: EmbeddedPostgres, statement: str) -> None:
    """Say one thing to the server, such as to make a database or to drop it."""
    link = await asyncpg.connect(user=SUPERUSER, database="postgres", host=str(server.socket_folder))
    try:
        await link.execute(statement)
    finally:
        await link.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[TextIO]:
    """What is logged meanwhile. No logger may remember this paper: its number will be that of a connection."""
    with (tmp_path / "told.log").open("a+", encoding="utf-8") as paper:
        logs.configure("info", paper.fileno())
        structlog.configure(cache_logger_on_first_use=False)
        yield paper
        logs.configure("debug")
        structlog.configure(cache_logger_on_first_use=False)
