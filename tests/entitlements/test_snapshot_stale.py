"""Over HTTP, with the database gone: a yes is told as stale until its end and the declared grace, and then nothing is
(I07, I08)."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx2
import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from entitlements.facts import GRACE
from tests.entitlements.conftest import NOWHERE, asking, desk
from tests.entitlements.machines import Machine, caught_up, family, until

pytestmark = pytest.mark.anyio

QUESTION = "/v1/accounts/a/entitlements/messages?channel=mobile"
TO_THE_END = timedelta(days=30)


@pytest.fixture
async def left_alone(
    machine: Machine, database: Database, clock: FixedClock, key: str, at: datetime
) -> AsyncIterator[httpx2.AsyncClient]:
    """Asks a process whose store of rights is gone; another process has fed its machine until a second ago."""
    feeding, _ = machine.process()
    cut_off, _ = machine.process(NOWHERE)
    await family(database, until=at + TO_THE_END)
    await family(database, "b", "q", until=at)
    await caught_up(feeding)
    async with asking(desk(database, cut_off, clock), key) as made:
        live = await made.get(QUESTION)
        assert (live.status_code, live.json()["allowed"], live.json()["source"]) == (200, True, "live")
        await feeding.close()
        await until(lambda: cut_off.at_hand("a") is None, "fell silent")
        yield made


async def test_a_yes_outlives_the_database_until_its_end_and_the_grace_and_not_an_instant_longer(
    left_alone: httpx2.AsyncClient, clock: FixedClock, at: datetime
):
    for moved in (
        timedelta(),
        TO_THE_END - timedelta(seconds=1),
        TO_THE_END,
        TO_THE_END + GRACE - timedelta(seconds=1),
    ):
        clock.move(at + moved)
        told = await left_alone.get(QUESTION)
        assert (told.status_code, told.json()["allowed"], told.json()["source"]) == (200, True, "stale")
        assert told.headers["cache-control"] == "no-store"
    for moved in (TO_THE_END + GRACE, TO_THE_END + timedelta(days=400)):
        clock.move(at + moved)
        told = await left_alone.get(QUESTION)
        assert (told.status_code, told.json()["code"]) == (503, "store_unavailable")


async def test_a_batch_tells_the_yes_that_were_known_and_says_of_the_others_that_nothing_is(
    left_alone: httpx2.AsyncClient,
):
    checks = [{"account": account, "feature": "messages"} for account in ("a", "stranger", "b")]
    told = await left_alone.post("/v1/entitlements/check", json={"channel": "mobile", "checks": checks})
    assert told.status_code == 200
    yes, *others = told.json()["results"]
    assert (yes["allowed"], yes["source"]) == (True, "stale")
    assert [each["error"]["code"] for each in others] == ["store_unavailable"] * 2
    brief = {"channel": "mobile", "checks": checks, "answer": "compact"}
    compact = (await left_alone.post("/v1/entitlements/check", json=brief)).json()
    assert (compact["allowed"], compact["source"]) == ([True, None, None], "stale")
    nothing = {"channel": "mobile", "checks": checks[1:2]}
    assert (await left_alone.post("/v1/entitlements/check", json=nothing)).status_code == 503


async def test_a_no_and_an_account_never_heard_of_are_unknown_and_free_features_stay_free(
    left_alone: httpx2.AsyncClient, clock: FixedClock, at: datetime
):
    clock.move(at + GRACE)
    for account in ("b", "stranger"):
        told = await left_alone.get(f"/v1/accounts/{account}/entitlements/messages?channel=mobile")
        assert told.status_code == 503
        free = await left_alone.get(f"/v1/accounts/{account}/entitlements/grades?channel=mobile")
        assert (free.status_code, free.json()["allowed"]) == (200, True)
