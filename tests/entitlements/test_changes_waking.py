"""Followers of the change log are woken after a commit, never by a rolled-back write, and a dead line harms nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import asyncpg
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from billing.kernel.db import Database
from entitlements import service
from entitlements.changes import TOPIC
from entitlements.waking import CHANNEL, Waker
from tests.entitlements.conftest import NOWHERE


class Sleeper:
    """A follower who listens, and counts how often it was woken."""

    def __init__(self) -> None:
        self.times = 0

    def wake(self, *_: object) -> None:
        self.times += 1

    async def until(self, is_so: Callable[[int], bool]) -> None:
        for _ in range(500):
            if is_so(self.times):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.times)


@pytest.fixture
async def sleeper(database_url: str) -> AsyncIterator[Sleeper]:
    link = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    made = Sleeper()
    await link.add_listener(CHANNEL, made.wake)
    yield made
    await link.close()


async def add(database: Database, account: str) -> None:
    async with database.begin() as session:
        await service.put_account(session, account)


async def test_a_commit_wakes_and_what_changed_nothing_or_was_rolled_back_does_not(
    database: Database, sleeper: Sleeper
) -> None:
    Waker(database)
    await add(database, "a1")
    await sleeper.until(lambda times: times == 1)
    await add(database, "a1")
    with pytest.raises(ZeroDivisionError):
        await _fail(database)
    await asyncio.sleep(0.1)
    assert sleeper.times == 1


async def _fail(database: Database) -> None:
    async with database.begin() as session:
        await service.put_account(session, "a2")
        raise ZeroDivisionError


async def test_many_commits_of_a_moment_share_a_few_wake_ups_and_the_last_one_is_never_lost(
    database: Database, sleeper: Sleeper
) -> None:
    waker = Waker(database)
    for _ in range(1000):
        waker.committed(frozenset())
    await sleeper.until(lambda times: times == 1)
    waker.committed(frozenset())
    await sleeper.until(lambda times: times == 2)
    await asyncio.sleep(0.1)
    assert sleeper.times == 2


async def test_a_line_that_was_cut_is_opened_again(database: Database, sleeper: Sleeper) -> None:
    Waker(database)
    await add(database, "a1")
    await sleeper.until(lambda times: times == 1)
    async with database.begin() as session:
        cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'billing-rights'"
        await session.execute(text(cut + " and datname = current_database()"))
    await asyncio.sleep(0.1)
    await add(database, "a2")
    await sleeper.until(lambda times: times == 2)


async def test_where_nobody_can_be_woken_writes_go_on_and_one_line_says_so(database: Database, at: datetime) -> None:
    gone = Database(NOWHERE)
    database.when_committed(TOPIC, Waker(gone).committed)
    with capture_logs() as lines:
        for number in range(5):
            await add(database, f"a{number}")
            await asyncio.sleep(0.05)
    assert [line["event"] for line in lines if line["event"] == "wake_up_lost"] == ["wake_up_lost"]
    async with database.begin() as session:
        assert await session.scalar(text("select count(*) from entitlement_change")) == 5
    await gone.close()
