"""The hot door and the typed route are one truth: whatever the hot door answers, the typed route answers the same."""

import json
import random
from datetime import datetime, timedelta
from itertools import product
from typing import TextIO

import pytest
from redis.asyncio import Redis

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.keys import FRESH, create_key, revoke_key
from billing.kernel.limits import Limiter
from billing.sandbox.valkey import EmbeddedValkey
from entitlements import service
from entitlements.facts import AccountFacts
from entitlements.hot import ROUTE
from entitlements.reader import FactsReader
from tests.entitlements.doors import GRANTS, settle_town
from tests.entitlements.twins import Held, Twins, put
from tests.overheard import counted, lines

pytestmark = pytest.mark.anyio

ID = (b"x-request-id", b"request-1")
PLAIN = b"/v1/accounts/small/entitlements/messages?channel=mobile&pupil=trial"
PUPILS = [*GRANTS, "blocked"], ["nobody", "p%31", "", "ż", "a" * 65]
ACCOUNTS = ["big", "small"], ["empty", "unknown", "big/", "b%69g", "", "..", "ż", "a" * 65]
FEATURES = ["messages", "homework"], ["push_notifications", "grades", "foo", "messages/", "mess%61ges", ""]
PLAIN_QUERIES = ["channel=mobile&pupil={pupil}", "channel=web&pupil={pupil}", "channel=mobile", "channel=web"]
ODD_QUERIES = [
    "pupil={pupil}&channel=mobile",
    "channel=mobile&pupil={pupil}&consistency=default",
    "channel=mobile&pupil={pupil}&consistency=strong",
    "channel=mobile&pupil={pupil}&at=2026-11-30T00:00:00Z",
    "channel=mobile&channel=mobile&pupil={pupil}",
    "channel=mobile&pupil={pupil}&pupil={pupil}",
    "channel=mobile&pupil={pupil}&x=1",
    "channel=mobile&pupil={pupil}&",
    "&channel=mobile&pupil={pupil}",
    "channel=mobile&pupil",
    "channel=tv&pupil={pupil}",
    "channel=Mobile",
    "channel=mobile;pupil={pupil}",
    "channel=mobil%65&pupil={pupil}",
    "pupil={pupil}",
    "channel=mobile&pupil={pupil}%0A",
    "channel=mobile&pupil={pupil}\n",
    "",
]


@pytest.fixture
async def twins(database: Database, clock: FixedClock, at: datetime, key: str) -> Twins:
    """The town behind both doors, with all of it at hand."""
    await settle_town(database, at)
    return await Twins.of_town(database, clock, key)


def bearer(key: str) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {key}".encode()


def odd_question(dice: random.Random, key: str, tags: list[bytes]) -> tuple[str, bytes, list[tuple[bytes, bytes]]]:
    def mostly(plain: list[str], odd: list[str]) -> str:
        return dice.choice(plain if dice.random() < 0.85 else odd)

    query = mostly(PLAIN_QUERIES, ODD_QUERIES).format(pupil=mostly(*PUPILS))
    path = f"/v1/accounts/{mostly(*ACCOUNTS)}/entitlements/{mostly(*FEATURES)}"
    path = mostly([path], [path.replace("/v1", "//v1"), f"{path}/more", path.replace("v1", "v2"), f"x{path}"])
    headers = [(b"host", b"desk.test"), ID, bearer(key)]
    odd = [
        [],
        [],
        [],
        [(b"if-none-match", dice.choice(tags))],
        [(b"if-none-match", dice.choice(tags)), (b"if-none-match", dice.choice(tags))],
        [(b"x-request-id", b"request-2")],
        [bearer("edk_test_wrong")],
        [(b"accept", b"text/html")],
    ]
    headers += dice.choice(odd)
    if dice.random() < 0.1:
        headers[2] = dice.choice([
            (b"authorization", b"bearer  " + key.encode() + b" "),
            (b"authorization", b"Basic abc"),
            (b"authorization", b""),
            (b"x-other", b"no key"),
        ])  # fmt: skip
    return mostly(["GET", "GET", "HEAD"], ["POST", "DELETE", "OPTIONS"]), f"{path}?{query}".encode(), headers


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_asked_both_doors_send_the_same_bytes_and_tell_the_same_of_it(
    twins: Twins, key: str, told: TextIO, seed: int
):
    dice, tags, asked = random.Random(seed), [b"*", b'"x"', b""], 0
    for _ in range(250):
        method, target, headers = odd_question(dice, key, tags)
        typed = await put(twins.typed, method, target, list(headers))
        said = lines(told)
        hot = await put(twins.hot, method, target, list(headers))
        asked += 1
        assert hot == typed, (method, target, headers)
        assert lines(told) == said, (method, target)
        tags += [value for name, value in typed[1] if name == b"etag"]
    assert asked / 10 < asked - twins.passed.times < asked * 9 / 10


async def test_plain_questions_are_answered_at_the_hot_door_whatever_the_answer(twins: Twins, key: str):
    for pupil, feature, channel, method in product(
        [*GRANTS, "blocked", "nobody"], ("messages", "homework", "grades"), ("mobile", "web"), ("GET", "HEAD")
    ):
        target = f"/v1/accounts/big/entitlements/{feature}?channel={channel}&pupil={pupil}".encode()
        hot = await put(twins.hot, method, target, [bearer(key), ID])
        assert hot == await put(twins.typed, method, target, [bearer(key), ID])
        assert hot[0] == 200
    assert twins.passed.times == 0


async def test_who_has_the_answer_already_is_told_304_by_both(twins: Twins, key: str):
    _, headers, _ = await put(twins.hot, "GET", PLAIN, [bearer(key), ID])
    again = [bearer(key), ID, (b"if-none-match", dict(headers)[b"etag"])]
    hot = await put(twins.hot, "GET", PLAIN, again)
    assert (hot[0], hot[2], twins.passed.times) == (304, b"", 0)
    assert hot == await put(twins.typed, "GET", PLAIN, again)


async def test_a_request_is_counted_and_logged_at_the_hot_door_as_everywhere(twins: Twins, key: str, told: TextIO):
    before = counted("GET", ROUTE, 200)
    _, headers, _ = await put(twins.hot, "GET", PLAIN, [bearer(key)])
    await put(twins.typed, "GET", PLAIN, [bearer(key)])
    assert counted("GET", ROUTE, 200) == before + 2
    first, second = lines(told)
    assert first["request_id"] == dict(headers)[b"x-request-id"].decode()
    assert (len(first["request_id"]), twins.passed.times) == (32, 0)
    assert first | {"request_id": ""} == second | {"request_id": ""}
    assert not any("small" in str(value) or "trial" in str(value) for value in first.values())


async def test_a_pass_that_ends_is_refused_at_its_instant_at_the_hot_door_too_i05(
    twins: Twins, key: str, clock: FixedClock, at: datetime
):
    end = at + timedelta(days=20)
    said: list[bool] = []
    for instant in (end - timedelta(microseconds=1), end):
        clock.move(instant)
        await twins.warm(key)
        _, _, body = await put(twins.hot, "GET", PLAIN, [bearer(key)])
        said.append(json.loads(body)["allowed"])
    assert (said, twins.passed.times) == ([True, False], 0)


async def test_a_revoked_key_is_refused_after_a_second_at_the_hot_door_too(
    twins: Twins, database: Database, clock: FixedClock, at: datetime
):
    async with database.begin() as session:
        key_id, key = create_key(session, at, "app", ("entitlements:read",), mode="test")
    await put(twins.hot, "GET", PLAIN, [bearer(key)])
    async with database.begin() as session:
        await revoke_key(session, at, key_id)
    clock.move(at + FRESH)
    assert (await put(twins.hot, "GET", PLAIN, [bearer(key)]))[0] == 401


async def test_a_key_without_the_scope_or_past_its_end_is_refused_by_both(
    twins: Twins, database: Database, clock: FixedClock, at: datetime
):
    async with database.begin() as session:
        _, other = create_key(session, at, "shop", ("commerce:write",), mode="test")
        soon = at + timedelta(milliseconds=500)
        _, short = create_key(session, at, "app", ("entitlements:read",), mode="test", expires_at=soon)
    for key, status in ((other, 403), (short, 200)):
        assert (await put(twins.hot, "GET", PLAIN, [bearer(key), ID]))[0] == status
    clock.move(soon)
    assert (await put(twins.hot, "GET", PLAIN, [bearer(short), ID]))[0] == 401


async def test_what_is_not_at_hand_is_asked_for_and_what_is_stale_is_not_taken_for_live(
    twins: Twins, database: Database, key: str, at: datetime, clock: FixedClock
):
    async with database.begin() as session:
        await service.put_account(session, "late")
        await service.put_link(session, "late", "trial", "sp5", at)
    target = b"/v1/accounts/late/entitlements/messages?channel=mobile"
    status, _, body = await put(twins.hot, "GET", target, [bearer(key)])
    assert (status, json.loads(body)["source"], twins.passed.times) == (200, "live", 1)
    silent = Held(FactsReader(database), silent=True)
    await silent.read("small")
    stale = Twins(database, silent, clock)
    await stale.warm(key)
    _, headers, body = await put(stale.hot, "GET", PLAIN, [bearer(key)])
    assert (json.loads(body)["source"], dict(headers)[b"cache-control"]) == ("stale", b"no-store")
    assert stale.passed.times == 1


async def test_a_spent_limit_is_refused_at_the_hot_door_as_at_the_other(
    database: Database, clock: FixedClock, at: datetime, key: str, tmp_path_factory: pytest.TempPathFactory
):
    await settle_town(database, at)
    facts = Held(FactsReader(database))
    await facts.read("small")
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as valkey:
        limiter = Limiter(valkey.url())
        twins = Twins(database, facts, clock, limiter)
        await twins.warm(key)
        first = await put(twins.hot, "GET", PLAIN, [bearer(key)])
        second = await put(twins.hot, "GET", PLAIN, [bearer(key)])
        left = [dict(headers)[b"ratelimit"] for _, headers, _ in (first, second)]
        assert left == [b'"questions";r=199999;t=10', b'"questions";r=199998;t=10']
        assert twins.passed.times == 1, "only the first had to ask Valkey"
        store = Redis.from_url(valkey.url())
        seconds, micros = await store.time()
        (name,) = await store.keys("limit:questions:*")
        await store.set(name, (seconds + 13) * 1_000_000 + micros, ex=30)
        await store.aclose()
        answers = [(await put(twins.hot, "GET", PLAIN, [bearer(key)]))[0] for _ in range(40)]
        assert answers == sorted(answers)
        assert set(answers) == {200, 429}
        await limiter.close()


class Garbled(Held):
    """What it keeps cannot be read."""

    def at_hand(self, account: str) -> AccountFacts | None:
        raise ValueError(account)


async def test_a_defect_behind_the_hot_door_is_told_and_the_typed_route_answers(
    database: Database, clock: FixedClock, at: datetime, key: str, told: TextIO
):
    await settle_town(database, at)
    twins = Twins(database, Garbled(FactsReader(database)), clock)
    await twins.warm(key)
    hot = await put(twins.hot, "GET", PLAIN, [bearer(key), ID])
    assert hot == await put(twins.typed, "GET", PLAIN, [bearer(key), ID])
    assert (hot[0], twins.passed.times) == (200, 1)
    assert lines(told)[0]["event"] == "hot_door_failed"
