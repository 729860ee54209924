"""Database truth, asked together: whoever hangs up, whatever breaks, each asker gets its own answer or a clear no."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
from httpx2 import AsyncClient as Client
from sqlalchemy import text

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from billing.kernel.turns import AT_ONCE
from entitlements import service
from entitlements.facts import AccountFacts
from entitlements.reader import FactsReader
from tests.entitlements.conftest import asking, desk

pytestmark = pytest.mark.anyio

PUPILS = 40
_BUSY = "select count(*) from pg_stat_activity where application_name = 'billing-rights' and state = 'active'"
_CUT = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'billing-rights'"


@pytest.fixture
async def town(database: Database, at: datetime) -> None:
    """Accounts a0 to a39; a<n> has pupil p<n>."""
    async with database.begin() as session:
        for number in range(PUPILS):
            await service.put_account(session, f"a{number}")
            await service.put_link(session, f"a{number}", f"p{number}", None, at)


@pytest.fixture
async def outside(database: Database) -> AsyncIterator[Database]:
    """Somebody else at the same database."""
    made = Database(database.engine.url.render_as_string(hide_password=False))
    yield made
    await made.close()


@asynccontextmanager
async def held(outside: Database) -> AsyncGenerator[None]:
    """While this lasts, no look-up ends."""
    async with outside.begin() as session:
        await session.execute(text("lock table entitlement_account in access exclusive mode"))
        yield


async def busy(outside: Database) -> int:
    async with outside.begin() as session:
        return (await session.execute(text(_BUSY))).scalar_one()


async def until_busy(outside: Database, lines: int) -> None:
    for _ in range(500):
        if await busy(outside) == lines:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never were {lines} look-ups under way")


def ask(reader: FactsReader, number: int) -> asyncio.Task[AccountFacts | None]:
    return asyncio.create_task(reader.account(f"a{number}"))


def is_own(facts: AccountFacts | None, number: int) -> bool:
    return facts is not None and (facts.account, facts.pupils[0].pupil) == (f"a{number}", f"p{number}")


async def test_hundreds_of_askers_are_answered_by_a_few_statements_each_with_its_own(
    database: Database, outside: Database, town: None
):
    reader = FactsReader(database, patience=20)
    async with held(outside):
        first = [ask(reader, number % PUPILS) for number in range(300)]
        await until_busy(outside, 1)
        later = [ask(reader, number % PUPILS) for number in range(300, 500)]
        await until_busy(outside, AT_ONCE)
        last = [ask(reader, number % PUPILS) for number in range(500, 600)]
        await asyncio.sleep(0.1)
        assert await busy(outside) == AT_ONCE
    answers = await asyncio.gather(*first, *later, *last)
    assert all(is_own(facts, number % PUPILS) for number, facts in enumerate(answers))


@pytest.mark.parametrize("seed", range(3))
async def test_askers_that_hang_up_at_any_moment_leave_every_other_one_its_own_answer(
    database: Database, outside: Database, town: None, seed: int
):
    dice = random.Random(seed)
    reader = FactsReader(database, patience=20)
    asked: list[tuple[int, asyncio.Task[AccountFacts | None]]] = []
    async with AsyncExitStack() as stack:
        for step in range(400):
            if step == 100:
                await stack.enter_async_context(held(outside))
            number = dice.randrange(PUPILS)
            asked.append((number, ask(reader, number)))
            if dice.random() < 0.1:
                await asyncio.sleep(dice.choice([0, 0, 0.002]))
            if dice.random() < 0.5:
                dice.choice(asked)[1].cancel()
    done, late = await asyncio.wait([task for _, task in asked], timeout=30)
    assert (len(done), late) == (400, set())
    assert all(task.cancelled() or is_own(task.result(), number) for number, task in asked)
    assert is_own(await reader.account("a7"), 7)


async def test_a_client_that_hangs_up_during_its_request_spoils_no_other_request(
    database: Database, outside: Database, town: None, clock: FixedClock, key: str
):
    app = desk(database, FactsReader(database, patience=20), clock)
    async with asking(app, key) as client:
        path = "/v1/accounts/a{0}/entitlements/messages?channel=mobile"
        assert (await client.get(path.format(0))).status_code == 200
        async with held(outside):
            waiting = [asyncio.create_task(client.get(path.format(number))) for number in range(PUPILS)]
            await until_busy(outside, 1)
            await asyncio.sleep(0.1)
            for each in waiting[::2]:
                each.cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in answers] == [True, False] * (PUPILS // 2)
        kept: list[Any] = answers[1::2]
        assert [each.json()["pupil"] for each in kept] == [f"p{number}" for number in range(1, PUPILS, 2)]
        assert (await client.get(path.format(0))).json()["account"] == "a0"


async def test_a_statement_that_fails_is_a_clear_no_for_each_and_the_next_one_is_answered_f20_i07(
    database: Database, outside: Database, town: None
):
    reader = FactsReader(database)
    assert is_own(await reader.account("a1"), 1)
    async with outside.begin() as session:
        await session.execute(text("alter table entitlement_link rename to entitlement_link_gone"))
    told = await asyncio.gather(*(reader.account(f"a{number}") for number in range(PUPILS)), return_exceptions=True)
    assert {getattr(each, "code", None) for each in told} == {"store_unavailable"}
    async with outside.begin() as session:
        await session.execute(text("alter table entitlement_link_gone rename to entitlement_link"))
    assert is_own(await reader.account("a1"), 1)


async def test_lines_cut_during_a_look_up_are_opened_again_and_everybody_is_answered(
    database: Database, outside: Database, town: None
):
    reader = FactsReader(database, patience=20)
    async with held(outside):
        asked = [ask(reader, number) for number in range(PUPILS)]
        await until_busy(outside, 1)
        async with outside.begin() as session:
            assert (await session.execute(text(_CUT))).scalar_one() == 1
        await until_busy(outside, 1)
    assert all(is_own(facts, number) for number, facts in enumerate(await asyncio.gather(*asked)))


async def test_a_database_that_hangs_is_a_clear_no_in_time_and_is_asked_again_afterwards_i07(
    database: Database, outside: Database, town: None
):
    reader = FactsReader(database, patience=0.5)
    assert is_own(await reader.account("a1"), 1)
    started = time.perf_counter()
    async with held(outside):
        told = await asyncio.gather(*(ask(reader, number) for number in range(PUPILS)), return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in told)
        assert time.perf_counter() - started < 5
        with pytest.raises(Unavailable):
            await reader.account("a1")
    for _ in range(20):
        if is_own(await _patiently(reader), 1):
            return
    raise AssertionError("the lines stayed dead")


async def _patiently(reader: FactsReader) -> AccountFacts | None:
    try:
        return await reader.account("a1")
    except Unavailable:
        await asyncio.sleep(0.1)
        return None


async def test_rights_are_looked_up_while_every_connection_of_the_pool_is_lent_out_f16(
    database: Database, town: None, clock: FixedClock, key: str
):
    small = Database(database.engine.url.render_as_string(hide_password=False), pool_size=4, max_overflow=0)
    async with asking(desk(small, FactsReader(small), clock), key) as client, AsyncExitStack() as lent:
        path = "/v1/accounts/a{0}/entitlements/{1}?channel=mobile"
        assert (await client.get(path.format(0, "messages"))).status_code == 200
        for _ in range(4):
            session = await lent.enter_async_context(small.begin())
            await session.execute(text("select 1"))
        asked = [path.format(number % PUPILS, name) for number in range(100) for name in ("messages", "grades")]
        answers = await asyncio.gather(*(client.get(each) for each in asked))
        assert [answer.status_code for answer in answers] == [200] * 200
    await small.close()


async def test_a_row_that_cannot_be_read_spoils_its_own_account_only_f20(
    database: Database, town: None, at: datetime, clock: FixedClock, key: str
):
    async with database.begin() as session:
        await session.execute(
            text("""insert into entitlement_grant (id, pupil, source, origin, features, since, until, created_at)
            values (gen_random_uuid(), 'p3', 'paid', 'sub_3', '{messages}', :at, '20000-01-01 00:00+00', :at)"""),
            {"at": at},
        )
    reader = FactsReader(database)
    told = await asyncio.gather(*(ask(reader, number) for number in range(PUPILS)), return_exceptions=True)
    wrong = [
        number for number, facts in enumerate(told) if isinstance(facts, BaseException) or not is_own(facts, number)
    ]
    assert wrong == [3]
    assert isinstance(told[3], Unavailable)
    async with asking(desk(database, reader, clock), key) as client:
        answer = await client.get("/v1/accounts/a3/entitlements/messages?channel=mobile")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


async def test_names_that_no_account_can_have_are_unknown_and_spoil_no_others(database: Database, town: None):
    reader = FactsReader(database)
    names = ["a1", "a\x00", "a\ud800", "ż", "a\n", "", "nobody"]
    found = await asyncio.gather(*(reader.account(name) for name in names))
    assert [facts is not None for facts in found] == [True, *[False] * 6]
    assert list(await reader.accounts(names)) == ["a1"]


async def test_a_write_is_seen_by_whoever_asks_after_its_commit(
    database: Database, outside: Database, town: None, at: datetime
):
    """Also while others' look-ups, begun before, are still under way."""
    reader = FactsReader(database)
    for number in range(PUPILS):
        others = [ask(reader, dice) for dice in range(PUPILS)]
        await asyncio.sleep(0)
        async with outside.begin() as session:
            await service.drop_link(session, f"a{number}", f"p{number}")
        facts = await reader.account(f"a{number}")
        assert facts is not None
        assert facts.pupils == ()
        await asyncio.gather(*others)


async def test_strong_consistency_is_this_way_and_its_answers_are_the_same_bytes(client: Client, town: None):
    for path in ("/v1/accounts/a1/entitlements/messages", "/v1/accounts/a1/entitlements"):
        asked = {"channel": "mobile", "pupil": "p1"}
        default, strong = (
            await client.get(path, params=asked),
            await client.get(path, params=asked | {"consistency": "strong"}),
        )
        assert (strong.status_code, strong.content) == (200, default.content)
        assert strong.headers["etag"] == default.headers["etag"]
    body = {"channel": "mobile", "checks": [{"account": "a1", "feature": "messages"}]}
    default = await client.post("/v1/entitlements/check", json=body)
    strong = await client.post("/v1/entitlements/check", json=body | {"consistency": "strong"})
    assert (strong.status_code, strong.content) == (200, default.content)
