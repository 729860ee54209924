"""A strong question at the hot door: the database answers, and nothing is counted and nobody waited for twice."""

import json
from datetime import datetime

import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.limits import Limiter
from billing.sandbox.valkey import EmbeddedValkey
from entitlements import service
from entitlements.facts import AccountFacts
from entitlements.reader import FactsReader
from tests.entitlements.conftest import NOWHERE
from tests.entitlements.doors import settle_town
from tests.entitlements.test_hot import ID, PLAIN, bearer
from tests.entitlements.twins import Held, Twins, put

pytestmark = pytest.mark.anyio

STRONG = PLAIN + b"&consistency=strong"


@pytest.fixture
async def twins(database: Database, clock: FixedClock, at: datetime, key: str) -> Twins:
    """The town behind both doors, with all of it at hand."""
    await settle_town(database, at)
    return await Twins.of_town(database, clock, key)


async def test_a_strong_question_is_answered_at_the_hot_door_by_the_database_alone(
    twins: Twins, database: Database, key: str, at: datetime
):
    async with database.begin() as session:
        await service.end_grants(session, "trial_trial_0", at, "withdrawn")
    held = await put(twins.hot, "GET", PLAIN, [bearer(key), ID])
    strong = await put(twins.hot, "GET", STRONG, [bearer(key), ID])
    assert [json.loads(body)["reason"] for _, _, body in (held, strong)] == ["trial", "withdrawn"]
    assert strong == await put(twins.typed, "GET", STRONG, [bearer(key), ID])
    assert twins.passed.times == 0


class Counting(Held):
    """It notes whom it was asked for by name."""

    def __init__(self, reader: FactsReader) -> None:
        super().__init__(reader)
        self.asked: list[str] = []

    async def account(self, account: str, *, strong: bool = False) -> AccountFacts | None:
        self.asked.append(account)
        return await super().account(account, strong=strong)


async def test_with_the_database_away_a_strong_question_waits_for_it_once(
    database: Database, clock: FixedClock, at: datetime, key: str
):
    nowhere = Database(NOWHERE)
    facts = Counting(FactsReader(nowhere))
    twins = Twins(database, facts, clock)
    await twins.warm(key)
    hot = await put(twins.hot, "GET", STRONG, [bearer(key), ID])
    assert (hot[0], facts.asked, twins.passed.times) == (503, ["small"], 1)
    assert hot == await put(twins.typed, "GET", STRONG, [bearer(key), ID])
    free = await put(twins.hot, "GET", STRONG.replace(b"messages", b"grades"), [bearer(key), ID])
    assert (free[0], facts.asked, twins.passed.times) == (200, ["small", "small"], 1)
    await nowhere.close()


async def test_a_strong_question_is_counted_once_whoever_answers_it(
    database: Database, clock: FixedClock, at: datetime, key: str, tmp_path_factory: pytest.TempPathFactory
):
    await settle_town(database, at)
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as valkey:
        limiter = Limiter(valkey.url())
        twins = Twins(database, Held(FactsReader(database)), clock, limiter)
        await twins.warm(key)
        asked = [PLAIN, STRONG, STRONG.replace(b"small", b"nobody"), STRONG.replace(b"messages", b"foo"), STRONG]
        told = [await put(twins.hot, "GET", target, [bearer(key)]) for target in asked]
        assert [status for status, _, _ in told] == [200, 200, 404, 404, 200]
        left = [dict(headers)[b"ratelimit"] for _, headers, _ in told]
        assert left == [b'"questions";r=%d;t=10' % (200_000 - used) for used in range(1, 6)]
        await limiter.close()
