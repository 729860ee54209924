"""The outbox: committed with its cause, done at least once, held up by nothing (I22, I24)."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from celery import Celery
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.audit import AuditRow, record
from billing.kernel.db import Database
from billing.kernel.outbox import BATCH, MOST_TRIES, RELAY, Consumer, Message, OutboxRow, put, relay
from billing.worker import CeleryDoorbell

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


async def take(session: AsyncSession, message: Message, at: datetime) -> None:
    """The effect of a message: one audit row in the relay's own transaction."""
    record(session, at, "message.taken", str(message.facts["n"]))
    await asyncio.sleep(0)


async def choke(session: AsyncSession, message: Message, at: datetime) -> None:
    """A poison message writes half of its effect and fails."""
    await take(session, message, at)
    raise ValueError("indigestible")


CONSUMERS: Mapping[str, tuple[Consumer, ...]] = {"thing.made": (take,), "poison": (choke,)}


async def say(database: Database, at: datetime, *numbers: int, kind: str = "thing.made") -> None:
    async with database.begin() as session:
        for n in numbers:
            put(session, kind, at, n=n)


async def taken(database: Database) -> Counter[str]:
    async with database.begin() as session:
        return Counter(await session.scalars(select(AuditRow.subject).where(AuditRow.action == "message.taken")))


async def states(database: Database) -> Counter[str]:
    async with database.begin() as session:
        return Counter(await session.scalars(select(OutboxRow.state)))


async def test_what_was_said_is_done_once(database: Database, at: datetime) -> None:
    await say(database, at, 1, 2, 3)
    work = relay(database, CONSUMERS)
    assert await work.run(at) == 3
    assert await work.run(at) == 0
    assert await taken(database) == {"1": 1, "2": 1, "3": 1}


async def _say_and_fail(database: Database, at: datetime) -> None:
    async with database.begin() as session:
        put(session, "thing.made", at, n=1)
        await session.flush()
        raise ZeroDivisionError


async def test_what_was_rolled_back_was_never_said(database: Database, at: datetime) -> None:
    with pytest.raises(ZeroDivisionError):
        await _say_and_fail(database, at)
    assert await relay(database, CONSUMERS).run(at) == 0


async def test_a_kind_that_nobody_wants_is_done_and_not_kept_waiting(database: Database, at: datetime) -> None:
    await say(database, at, 1, kind="of.no.interest")
    assert await relay(database, CONSUMERS).run(at) == 1
    assert await states(database) == {"done": 1}


async def test_two_relays_at_once_do_each_message_once(database: Database, at: datetime) -> None:
    """I22: rows are claimed by state with SKIP LOCKED."""
    wanted = 3 * BATCH
    await say(database, at, *range(wanted))

    async def drain() -> None:
        work = relay(database, CONSUMERS)
        while await work.run(at):
            pass

    await asyncio.gather(drain(), drain(), drain())
    while await relay(database, CONSUMERS).run(at):
        pass
    found = await taken(database)
    assert len(found) == wanted
    assert set(found.values()) == {1}


async def test_a_message_whose_transaction_commits_late_is_not_passed_over(database: Database, at: datetime) -> None:
    """Why nothing reads `id > last`: the lower id commits after the higher one was done."""
    work = relay(database, CONSUMERS)
    async with database.begin() as slow:
        put(slow, "thing.made", at, n=1)
        await slow.flush()
        await say(database, at + SECOND, 2)
        assert await work.run(at + SECOND) == 1
        assert await taken(database) == {"2": 1}
    assert await work.run(at + SECOND) == 1
    assert await taken(database) == {"1": 1, "2": 1}


async def test_poison_delays_no_other_leaves_no_trace_and_is_parked(database: Database, at: datetime) -> None:
    """I24."""
    await say(database, at, 13, kind="poison")
    await say(database, at, 1, 2)
    work = relay(database, CONSUMERS)
    assert await work.run(at) == 3
    assert await taken(database) == {"1": 1, "2": 1}
    tries, now = 1, at
    while (await states(database))["parked"] == 0:
        assert await work.run(now) == 0
        now += HOUR
        assert await work.run(now) == 1
        tries += 1
    assert tries == MOST_TRIES
    assert await work.run(now + 1000 * HOUR) == 0
    async with database.begin() as session:
        row = (await session.scalars(select(OutboxRow).where(OutboxRow.state == "parked"))).one()
        assert (row.tries, row.fault) == (MOST_TRIES, "ValueError")
        assert await work.next_due(session) is None
    assert await taken(database) == {"1": 1, "2": 1}


async def test_a_relay_that_dies_in_the_middle_leaves_all_to_the_next(database: Database, at: datetime) -> None:
    """The effects and the states are one transaction: nothing is half done."""

    async def die(session: AsyncSession, message: Message, _at: datetime) -> None:
        await take(session, message, at)
        if message.facts["n"] == 2:
            raise asyncio.CancelledError

    await say(database, at, 1, 2, 3)
    with pytest.raises(asyncio.CancelledError):
        await relay(database, {"thing.made": (die,)}).run(at)
    assert await taken(database) == {}
    assert await relay(database, CONSUMERS).run(at) == 3
    assert await taken(database) == {"1": 1, "2": 1, "3": 1}


async def test_work_that_is_due_is_told_and_rung_for_after_the_commit_only(database_url: str, at: datetime) -> None:
    rung: list[str] = []

    class Bell:
        def ring(self, names: Iterable[str]) -> None:
            rung.extend(names)

    database = Database(database_url, doorbell=Bell())
    async with database.begin() as session:
        put(session, "thing.made", at, n=1)
        put(session, "thing.made", at, n=2)
        await session.flush()
        assert rung == []
    assert rung == [RELAY]
    async with database.begin() as session:
        assert await relay(database, CONSUMERS).next_due(session) == at
    with pytest.raises(ZeroDivisionError):
        await _say_and_fail(database, at)
    assert rung == [RELAY]
    await database.close()


async def test_i22_one_task_of_the_broker_stands_for_any_number_of_messages(
    database_url: str, database: Database, at: datetime
) -> None:
    """A broker carries the name of the work, never a message: three commits with 750 messages are at most three tasks,
    and each task does all that is due, in batches."""
    app = Celery("counted", broker="memory://")
    app.conf.task_default_queue = "webhooks"
    rung = Database(database_url, doorbell=CeleryDoorbell(app, {RELAY: "webhooks"}))
    for commit in range(3):
        await say(rung, at, *range(commit * 250, commit * 250 + 250))
    await rung.close()
    with app.connection_for_read() as link:
        queue = link.SimpleQueue("webhooks")
        tasks = [queue.get(timeout=5).payload]
        with suppress(queue.Empty):
            while True:
                tasks.append(queue.get(timeout=0.2).payload)
    assert 1 <= len(tasks) <= 3
    assert all(arguments == [RELAY] for arguments, _, _ in tasks)
    work = relay(database, CONSUMERS)
    assert [await work.run(at) for _ in range(5)] == [BATCH, BATCH, BATCH, 750 - 3 * BATCH, 0]
    assert BATCH >= 100


async def test_kinds_that_nobody_wants_are_done_together(database: Database, at: datetime) -> None:
    await say(database, at, *range(150), kind="nobody.cares")
    await say(database, at, 1000)
    statements: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    assert await relay(database, CONSUMERS).run(at) == 151
    assert len(statements) <= 8, statements
    assert await states(database) == {"done": 151}
    assert await taken(database) == {"1000": 1}
