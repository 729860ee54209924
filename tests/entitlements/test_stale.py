"""With the store silent, the last yes that was known is told for a while, marked; nothing else is (I07, I08, R134)."""

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from httpx2 import AsyncClient as Client

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from billing.kernel.signing import read_keys
from entitlements.decision import decide
from entitlements.facts import GRACE, AccountFacts, Grant, PupilFacts, Source
from entitlements.judging import judge
from entitlements.reader import FactsReader
from tests.entitlements.conftest import FEATURES, NOWHERE, asking
from tests.entitlements.doors import doors, settle_town
from tests.entitlements.twins import Held

pytestmark = pytest.mark.anyio

INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def facts(database: Database, at: datetime) -> AsyncIterator[Held]:
    """The town, read while the store was there; it is not there any more."""
    await settle_town(database, at)
    made = Held(FactsReader(database))
    await made.read("big", "small")
    gone = Database(NOWHERE)
    made.lose(FactsReader(gone))
    yield made
    await gone.close()


@pytest.fixture
async def client(database: Database, facts: Held, clock: FixedClock, key: str) -> AsyncIterator[Client]:
    """Asks all doors of a desk that only remembers."""
    async with asking(doors(database, cast("Any", facts), clock, read_keys("")), key) as made:
        yield made


async def said(client: Client, pupil: str, feature: str = "messages", **query: str) -> tuple[int, Any]:
    asked = {"channel": "mobile", "pupil": pupil} | query
    answer = await client.get(f"/v1/accounts/big/entitlements/{feature}", params=asked)
    return answer.status_code, answer.json()


async def test_the_last_yes_is_told_as_stale_and_may_not_be_kept_i07(client: Client):
    for pupil, reason in {"trial": "trial", "paid": "paid", "grace": "grace", "granted": "granted"}.items():
        answer = await client.get(
            "/v1/accounts/big/entitlements/messages", params={"channel": "mobile", "pupil": pupil}
        )
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        told = answer.json()
        assert (told["allowed"], told["reason"], told["source"]) == (True, reason, "stale")


async def test_a_no_is_not_told_since_it_may_have_ended_a_second_ago_i08(client: Client):
    refused = ["nothing", "trial-over", "pass-over", "withdrawn", "refunded", "disputed", "failed", "sponsor-gone"]
    for pupil in (*refused, "blocked", "a-stranger"):
        status, told = await said(client, pupil)
        assert (status, told["code"]) == (503, "store_unavailable"), pupil


async def test_what_is_free_is_told_as_ever_i06(client: Client):
    status, told = await said(client, "nothing", "grades")
    assert (status, told["reason"], told["source"]) == (200, "basic", "live")
    status, told = await said(client, "nothing", channel="web")
    assert (status, told["reason"], told["source"]) == (200, "browser", "live")


async def test_a_yes_that_ends_meanwhile_goes_on_for_the_grace_and_no_longer_i07(
    client: Client, clock: FixedClock, at: datetime
):
    end = at + timedelta(days=20)
    told: list[tuple[int, str | None]] = []
    for instant in (end - INSTANT, end, end + GRACE - INSTANT, end + GRACE):
        clock.move(instant)
        status, answer = await said(client, "trial")
        told.append((status, answer.get("valid_until")))
    ends = "2026-09-21T08:00:00Z"
    assert told == [(200, ends), (200, ends), (200, ends), (503, None)]


async def test_nothing_stale_is_told_to_who_asks_for_the_database_itself(client: Client):
    assert (await said(client, "paid", consistency="strong"))[0] == 503


async def test_who_holds_the_live_answer_is_not_told_that_it_is_still_right(
    client: Client, database: Database, clock: FixedClock, key: str
):
    asked = {"channel": "mobile", "pupil": "paid"}
    path = "/v1/accounts/big/entitlements/messages"
    async with asking(doors(database, FactsReader(database), clock, read_keys("")), key) as before:
        live = await before.get(path, params=asked)
    stale = await client.get(path, params=asked, headers={"if-none-match": live.headers["etag"]})
    assert (live.json()["source"], stale.status_code, stale.json()["source"]) == ("live", 200, "stale")


async def test_in_a_batch_each_yes_is_told_and_each_no_is_unknown_i07(client: Client):
    checks = [{"account": "big", "pupil": pupil, "feature": "messages"} for pupil in ("paid", "nothing", "trial")]
    full = await client.post("/v1/entitlements/check", json={"channel": "mobile", "checks": checks})
    told = [each.get("source") or each["error"]["code"] for each in full.json()["results"]]
    assert told == ["stale", "store_unavailable", "stale"]
    compact = await client.post(
        "/v1/entitlements/check", json={"channel": "mobile", "checks": checks, "answer": "compact"}
    )
    assert (compact.json()["allowed"], compact.json()["source"]) == ([True, None, True], "stale")
    none = await client.post("/v1/entitlements/check", json={"channel": "mobile", "checks": checks[1:2]})
    assert (none.status_code, none.json()["code"]) == (503, "store_unavailable")


async def test_a_whole_answer_and_a_token_need_all_of_it(client: Client):
    for path in ("/v1/accounts/big/entitlements", "/v1/accounts/small/entitlements.jwt"):
        answer = await client.get(path, params={"channel": "mobile"})
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


async def test_openfeature_is_told_a_stale_yes_alone(client: Client):
    context = {"context": {"targetingKey": "big", "channel": "mobile", "pupil": "paid"}}
    one = await client.post("/ofrep/v1/evaluate/flags/messages", json=context)
    assert (one.status_code, one.json()["value"], one.json()["metadata"]["source"]) == (200, True, "stale")
    assert one.headers["cache-control"] == "no-store"
    no = await client.post("/ofrep/v1/evaluate/flags/push_notifications", json=context)
    every = await client.post("/ofrep/v1/evaluate/flags", json=context)
    assert (no.status_code, every.status_code) == (503, 503)


def test_by_stale_facts_only_a_yes_is_told_and_none_past_its_end_and_the_grace_i07_i08(at: datetime):
    dice, told = random.Random(7), 0
    sources: list[Source] = ["trial", "paid", "sponsored", "granted", "grace"]
    for _ in range(3000):
        minutes = [timedelta(minutes=dice.randrange(400)) for _ in range(8)]
        grants = tuple(
            Grant(
                dice.choice(sources), f"grt_{number}", frozenset({"messages"}), at + min(pair),
                dice.choice([None, at + max(pair)]), end_reason=dice.choice([None, None, "refunded"]),
            )
            for number, pair in enumerate(zip(minutes[:4:2], minutes[1:4:2], strict=True))
        )  # fmt: skip
        blocks = {"messages": at + minutes[5]} if dice.random() < 0.2 else {}
        pupil, now = PupilFacts("p1", grants, blocks), at + minutes[6]
        known = decide(FEATURES, pupil, "messages", "mobile", now, now)
        try:
            yes = judge(FEATURES, AccountFacts("a1", (pupil,), stale=True), pupil, "messages", "mobile", now, now)
        except Unavailable:
            assert not known.allowed
            continue
        told += 1
        assert yes.allowed
        assert yes.valid_until is None or now < yes.valid_until + GRACE
        if not known.allowed:
            assert yes.valid_until is not None
            assert yes.valid_until <= now
            assert known.reason not in {"blocked_by_school", "refunded"}
    assert 300 < told < 2900
