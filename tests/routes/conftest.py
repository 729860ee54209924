"""The application on a fresh database, and a broker for its limits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.settings import Settings
from billing.sandbox.valkey import EmbeddedValkey
from tests.gateway.world import World, living
from tests.routes.house import Api, make_keys, opened, settings_of


@pytest.fixture
def settings(database_url: str, valkey: EmbeddedValkey) -> Settings:
    """Where the application runs."""
    return settings_of(database_url, valkey.url())


@pytest.fixture
async def api(settings: Settings, database: Database, clock: FixedClock) -> AsyncIterator[Api]:
    """The application, at an instant that stands still."""
    async with opened(settings, clock, await make_keys(database, clock)) as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A stand-in of Stripe behind a real server."""
    async with living(tmp_path) as made:
        yield made


@pytest.fixture
async def shop(
    database_url: str, valkey: EmbeddedValkey, database: Database, clock: FixedClock, world: World
) -> AsyncIterator[Api]:
    """The application with somebody to take the money."""
    world.hands.at = clock.now()
    settings = settings_of(database_url, valkey.url(), STRIPE_API_BASE=world.base)
    async with opened(settings, clock, await make_keys(database, clock)) as made:
        yield made
