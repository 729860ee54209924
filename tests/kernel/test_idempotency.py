"""`Idempotency-Key`: one effect and one answer for a key, also in a race and across a crash (I22)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from billing.kernel.audit import AuditRow, record
from billing.kernel.db import Database
from billing.kernel.errors import BillingError, Conflict, Invalid, Malformed
from billing.kernel.idempotency import KEPT, IdempotencyRow, Stored, forget_old_keys, once
from billing.kernel.sealing import NotSealedHere, unseal

MOMENT = timedelta(microseconds=1)
SECRET = "s" * 32


class Crash(Exception):
    """The process dies here."""


async def ask(
    database: Database, at: datetime, key: str, *, caller: str = "key_1", request: bytes = b"POST /v1/x {}",
    wait: Callable[[], Awaitable[object]] | None = None, crash: bool = False,
) -> Stored:  # fmt: skip
    async with database.begin() as session:

        async def effect() -> dict[str, object]:
            if wait is not None:
                await wait()
            record(session, at, "thing.made", "thing")
            await session.flush()
            return {"made": await session.scalar(select(func.count()).select_from(AuditRow)), "zażółć": True}

        stored = await once(session, at, key, caller=caller, request=request, secret=SECRET, status=201, effect=effect)
        if crash:
            await session.flush()
            raise Crash
        return stored


async def effects(database: Database) -> int:
    async with database.begin() as session:
        return int(await session.scalar(select(func.count()).select_from(AuditRow)) or 0)


async def test_the_same_request_again_gets_the_first_answer_byte_for_byte(database: Database, at: datetime) -> None:
    first = await ask(database, at, "k")
    again = await ask(database, at + timedelta(hours=24), "k")
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.status, again.body) == (first.status, first.body) == (201, '{"made":1,"zażółć":true}'.encode())
    assert await effects(database) == 1


async def test_another_request_with_the_key_is_refused(database: Database, at: datetime) -> None:
    await ask(database, at, "k")
    with pytest.raises(Invalid) as caught:
        await ask(database, at, "k", request=b"POST /v1/x {} ")
    assert caught.value.code == "idempotency_key_reused"
    assert await effects(database) == 1


async def test_keys_of_different_callers_do_not_meet(database: Database, at: datetime) -> None:
    await ask(database, at, "k")
    other = await ask(database, at, "k", caller="key_2", request=b"other")
    assert not other.replayed
    assert await effects(database) == 2


async def test_while_the_first_runs_the_second_is_told_so_and_then_gets_its_answer(
    database: Database, at: datetime
) -> None:
    running, finish = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        running.set()
        await finish.wait()

    first = asyncio.create_task(ask(database, at, "k", wait=wait))
    await running.wait()
    with pytest.raises(Conflict) as caught:
        await ask(database, at, "k")
    assert caught.value.code == "idempotency_in_progress"
    finish.set()
    done = await first
    assert (await ask(database, at, "k")).body == done.body
    assert await effects(database) == 1


async def test_twelve_at_once_have_one_effect(database: Database, at: datetime) -> None:
    """Whoever is not first is told to wait, or gets the first answer; nobody gets another one."""

    async def one() -> bytes | str:
        try:
            return (await ask(database, at, "k", wait=lambda: asyncio.sleep(0.05))).body
        except BillingError as refused:
            return refused.code

    answers = set(await asyncio.gather(*(one() for _ in range(12))))
    assert answers <= {'{"made":1,"zażółć":true}'.encode(), "idempotency_in_progress"}
    assert await effects(database) == 1


async def test_a_crash_between_effect_and_commit_leaves_neither(database: Database, at: datetime) -> None:
    with pytest.raises(Crash):
        await ask(database, at, "k", crash=True)
    assert await effects(database) == 0
    async with database.begin() as session:
        assert await session.scalar(select(func.count()).select_from(IdempotencyRow)) == 0
    again = await ask(database, at, "k")
    assert not again.replayed
    assert await effects(database) == 1


async def test_an_effect_that_fails_may_be_tried_again(database: Database, at: datetime) -> None:
    async def fail() -> None:
        raise Conflict("Not now.")

    with pytest.raises(Conflict):
        await ask(database, at, "k", wait=fail)
    assert not (await ask(database, at, "k")).replayed


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "\u200b", "a\x00b"])
async def test_a_key_that_cannot_be_kept_is_refused(database: Database, at: datetime, key: str) -> None:
    with pytest.raises(Malformed):
        await ask(database, at, key)


async def test_keys_are_kept_longer_than_promised_then_forgotten(database: Database, at: datetime) -> None:
    """At least 24 hours; forgotten by a sweep, and not found even when the sweep is late."""
    await ask(database, at, "old")
    await ask(database, at + MOMENT, "young")
    work = forget_old_keys(database)
    async with database.begin() as session:
        assert await work.next_due(session) == at + KEPT
    assert timedelta(hours=24) <= KEPT
    assert await work.run(at + KEPT - MOMENT) == 0
    assert await work.run(at + KEPT) == 1
    assert (await ask(database, at + KEPT, "young")).replayed
    assert not (await ask(database, at + KEPT + MOMENT, "young", request=b"another")).replayed


async def test_r31_what_is_kept_of_an_answer_cannot_be_read_without_the_secret(
    database: Database, at: datetime
) -> None:
    stored = await ask(database, at, "k")
    async with database.begin() as session:
        kept = await session.scalar(select(IdempotencyRow.body))
    assert kept is not None
    assert b"made" in stored.body
    assert b"made" not in kept
    assert unseal(SECRET, "idempotency:key_1:k", kept) == stored.body
    for secret, row, body in (
        ("t" * 32, "idempotency:key_1:k", kept),
        (SECRET, "idempotency:key_2:k", kept),
        (SECRET, "idempotency:key_1:k", kept[:-1] + bytes([kept[-1] ^ 1])),
    ):
        with pytest.raises(NotSealedHere):
            unseal(secret, row, body)
