"""Keys at the window: hashed, in memory, told anew each second; a stranger's is looked for in the database itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import Unauthenticated, Unavailable
from billing.kernel.keys import AHEAD, FRESH, KeyRing, create_key, revoke_key

pytestmark = pytest.mark.anyio

STRANGE = "Bearer edk_test_01m80es148fk8r339tgtw9g2qf_" + "0" * 64
_HIDE = "alter table api_key rename to api_key_gone"
_SHOW = "alter table api_key_gone rename to api_key"


@pytest.fixture
async def outside(database: Database) -> AsyncIterator[Database]:
    """Somebody else at the same database."""
    made = Database(database.engine.url.render_as_string(hide_password=False))
    yield made
    await made.close()


@pytest.fixture
def ring(database: Database, clock: FixedClock) -> KeyRing:
    """A process's keys, nothing read yet."""
    return KeyRing(database, clock)


@pytest.fixture
async def known(ring: KeyRing, database: Database, at: datetime) -> tuple[str, str]:
    """A key that the ring has read: its id, and what its holder sends."""
    made = await new_key(database, at)
    await ring.caller(made[1])
    return made


async def new_key(database: Database, at: datetime) -> tuple[str, str]:
    async with database.begin() as session:
        key_id, told = create_key(session, at, "app", ("entitlements:read",), mode="test")
    return key_id, f"Bearer {told}"


async def run(database: Database, statement: str) -> None:
    async with database.begin() as session:
        await session.execute(text(statement))


async def test_a_new_key_opens_at_once(ring: KeyRing, known: tuple[str, str], database: Database, at: datetime):
    _, second = await new_key(database, at)
    assert (await ring.caller(second)).name == "app"


async def test_a_revoked_key_is_a_stranger_after_a_second_and_stays_one(
    ring: KeyRing, known: tuple[str, str], database: Database, clock: FixedClock, at: datetime
):
    key_id, key = known
    async with database.begin() as session:
        await revoke_key(session, at, key_id)
    clock.move(at + FRESH)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await ring.caller(key)


async def test_many_strangers_are_asked_about_together_and_guessing_takes_its_time(
    ring: KeyRing, known: tuple[str, str]
):
    _, key = known
    started = time.perf_counter()
    strangers = [ring.caller(STRANGE[:-4] + f"{number:04}") for number in range(200)]
    told = await asyncio.gather(*strangers, return_exceptions=True)
    assert all(isinstance(each, Unauthenticated) for each in told)
    assert time.perf_counter() - started >= 0.02
    assert (await ring.caller(key)).name == "app"


async def test_a_stranger_is_not_told_no_while_nobody_can_know_i07(
    ring: KeyRing, known: tuple[str, str], database: Database
):
    _, key = known
    await run(database, _HIDE)
    with pytest.raises(Unavailable):
        await ring.caller(STRANGE)
    with pytest.raises(Unauthenticated):
        await ring.caller("Bearer not-one-of-ours")
    assert (await ring.caller(key)).name == "app"
    await run(database, _SHOW)
    with pytest.raises(Unauthenticated):
        await ring.caller(STRANGE)


async def test_a_key_revoked_just_before_the_database_went_is_honoured_until_it_is_back(
    ring: KeyRing, known: tuple[str, str], database: Database, clock: FixedClock, at: datetime
):
    """What was decided: free features must go on for every living key, and nobody can tell which one is not (R9)."""
    key_id, key = known
    async with database.begin() as session:
        await revoke_key(session, at, key_id)
    await run(database, _HIDE)
    clock.move(at + timedelta(minutes=5))
    assert (await ring.caller(key)).name == "app"
    await run(database, _SHOW)
    clock.move(at + timedelta(minutes=5) + FRESH)
    with pytest.raises(Unauthenticated):
        await ring.caller(key)


async def test_while_the_database_hangs_one_caller_waits_for_it_and_the_others_do_not(
    ring: KeyRing, known: tuple[str, str], outside: Database, clock: FixedClock, at: datetime
):
    _, key = known
    async with outside.begin() as session:
        await session.execute(text("lock table api_key in access exclusive mode"))
        clock.move(at + FRESH)
        first = await asyncio.gather(*(ring.caller(key) for _ in range(50)))
        assert {each.name for each in first} == {"app"}
        clock.move(at + 2 * FRESH)
        patient = asyncio.create_task(ring.caller(key))
        await asyncio.sleep(0)
        started = time.perf_counter()
        await asyncio.gather(*(ring.caller(key) for _ in range(50)))
        assert time.perf_counter() - started < 1
        assert not patient.done()
        await patient
    clock.move(at + 3 * FRESH)
    assert (await ring.caller(key)).name == "app"


async def test_keys_that_are_asked_for_all_the_time_are_read_anew_beside_the_answers(
    ring: KeyRing, known: tuple[str, str], database: Database, clock: FixedClock, at: datetime
):
    key_id, key = known
    async with database.begin() as session:
        await revoke_key(session, at, key_id)
    clock.move(at + AHEAD)
    caller = ring.at_hand(key, clock.now())
    assert caller is not None, "told less than a second ago"
    for _ in range(500):
        if ring.at_hand(key, clock.now()) is None:
            break
        await asyncio.sleep(0.01)
    assert ring.at_hand(key, clock.now()) is None, "read anew meanwhile, with nobody waiting"
    _, second = await new_key(database, at)
    assert (await ring.caller(second)).name == "app"


async def test_keys_told_a_second_ago_are_not_at_hand(
    ring: KeyRing, known: tuple[str, str], clock: FixedClock, at: datetime
):
    _, key = known
    assert ring.at_hand(key, at) is not None
    assert ring.at_hand(STRANGE, at) is None
    assert ring.at_hand(key.removeprefix("Bearer "), at) is None
    assert ring.at_hand(key, at + FRESH) is None
    assert KeyRing(Database("postgresql+asyncpg://nobody@127.0.0.1:9/none"), clock).at_hand(key, at) is None
