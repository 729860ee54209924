"""One database for all of these tests, emptied for each; a receiver; the works."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.sandbox.postgres import EmbeddedPostgres
from tests.conftest import TEMPLATE, administer
from tests.outgoing.receiver import Receiver, receiving
from tests.outgoing.yard import Yard


@pytest.fixture(scope="module")
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """One database for all of these tests, emptied for each."""
    asyncio.run(administer(postgres, f"CREATE DATABASE outgoing TEMPLATE {TEMPLATE} STRATEGY FILE_COPY"))
    yield postgres.url("outgoing")
    asyncio.run(administer(postgres, "DROP DATABASE outgoing WITH (FORCE)"))


@pytest.fixture
async def yard(database: Database, clock: FixedClock) -> Yard:
    made = Yard(database, clock)
    await made.say("truncate webhook_endpoint, webhook_delivery, outbox, entitlement_news")
    await made.say("update webhook_mark set seq = 0")
    await made.say("update entitlement_numbering set seq = 0")
    return made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made
