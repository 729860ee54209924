"""Deliveries that do not go well: tried again for days, at least once, and in nobody's way."""

import asyncio
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from billing.kernel.errors import Conflict, NotFound
from tests.outgoing.receiver import OK, Receiver, receiving
from tests.outgoing.yard import SECRET, Yard
from webhooks import outgoing_service as service
from webhooks.outgoing_queue import AT_ONCE, LEASE, RESEND, SEND
from webhooks.outgoing_rules import JITTER, KEPT, WAITS, event_id

ROOT = Path(__file__).parents[2]
FAILS = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
LATER = b"HTTP/1.1 429 Slow down\r\nretry-after: 7200\r\ncontent-length: 0\r\n\r\n"


async def test_a_failed_delivery_is_tried_ten_times_over_three_days_and_then_given_up(
    yard: Yard, receiver: Receiver
) -> None:
    """Under the same id, with the same bytes, at the times of Standard Webhooks with jitter."""
    receiver.answer = FAILS
    _, secret = await yard.endpoint(receiver)
    began = yard.clock.now()
    await yard.happens("trial.started")
    await yard.run()
    tried = [began]
    while await yard.wait():
        tried.append(yard.clock.now())
    waits = [after - before for before, after in pairwise(tried)]
    assert len(waits) == len(WAITS)
    assert all(wait <= was <= wait * (1 + JITTER) for wait, was in zip(WAITS, waits, strict=True))
    assert tried[-1] - began > timedelta(hours=75)
    assert len(receiver.got) == 10
    assert len(set(receiver.ids)) == len(set(receiver.bodies)) == 1
    for got in receiver.got:
        assert Webhook(secret).verify(got.body, got.headers)
    (row,) = await yard.rows()
    assert (row.state, row.tries, row.status, row.fault) == ("failed", 10, 500, "status_500")


async def test_what_was_given_up_can_be_sent_again_one_by_one_or_all_of_a_time(yard: Yard, receiver: Receiver) -> None:
    endpoint, _ = await yard.endpoint(receiver)
    await yard.happens("trial.started", 3)
    await yard.say("update webhook_delivery set state = 'failed', tries = 10")
    first, second, _ = [row.message_id for row in await yard.rows()]
    async with yard.database.begin() as session:
        again = await service.retry(session, endpoint, event_id(first), yard.clock.now())
        assert (again.state, again.tries) == ("pending", 0)
    assert await yard.run() == 1
    assert receiver.ids == [event_id(first)]
    since, until = yard.clock.now(), yard.clock.now() + timedelta(seconds=1)
    async with yard.database.begin() as session:
        assert await service.replay(session, endpoint, until, until + KEPT, yard.clock.now()) == 0
        assert await service.replay(session, endpoint, since, until, yard.clock.now()) == 2
    assert await yard.run() == 2
    assert event_id(second) in receiver.ids
    assert await yard.states() == ["delivered"] * 3
    async with yard.database.begin() as session:  # and one that was delivered: the receiver may have lost it
        await service.retry(session, endpoint, event_id(first), yard.clock.now())
        with pytest.raises(NotFound):
            await service.retry(session, endpoint, "evt_01kd0000000000000000000000", yard.clock.now())
    assert await yard.run() == 1
    assert receiver.ids.count(event_id(first)) == 2


async def test_an_endpoint_that_says_410_is_told_nothing_more_until_it_is_enabled(
    yard: Yard, receiver: Receiver
) -> None:
    receiver.answer = GONE
    endpoint, _ = await yard.endpoint(receiver)
    await yard.happens("trial.started", AT_ONCE + 5)
    await yard.run()
    assert len(receiver.got) <= AT_ONCE
    row = await yard.only(endpoint)
    assert (row.state, row.disabled_reason) == ("disabled", "gone")
    assert set(await yard.states()) == {"failed"}
    await yard.happens("trial.ended")
    assert len(await yard.rows()) == AT_ONCE + 5
    assert await yard.due() is None
    with pytest.raises(Conflict):
        async with yard.database.begin() as session:
            await service.replay(session, endpoint, yard.clock.now(), yard.clock.now(), yard.clock.now())
    receiver.answer = b"HTTP/1.1 204 Fine\r\n\r\n"
    async with yard.database.begin() as session:
        await service.enable(session, endpoint, yard.clock.now())
        begun = yard.clock.now() - timedelta(1)
        assert await service.replay(session, endpoint, begun, begun + KEPT, yard.clock.now()) == AT_ONCE + 5
    await yard.run()
    assert set(await yard.states()) == {"delivered"}
    assert len(set(receiver.ids)) == AT_ONCE + 5


async def test_a_worker_killed_after_sending_and_before_writing_it_down_costs_a_second_delivery_with_the_same_id(
    yard: Yard, receiver: Receiver, database_url: str
) -> None:
    """A real process, killed while the receiver has the request and has not answered (CP of a call out)."""
    await yard.endpoint(receiver)
    await yard.happens("trial.started")
    receiver.answer = None
    program = (
        "import asyncio, sys\n"
        "from datetime import datetime\n"
        "from billing.kernel.db import Database\n"
        "from webhooks.outgoing_post import Post\n"
        "from webhooks.outgoing_tasks import works\n"
        "send = works(Database(sys.argv[1]), Post(loopback=True), sys.argv[2])[1]\n"
        "asyncio.run(send.run(datetime.fromisoformat(sys.argv[3])))\n"
    )
    given = (database_url, SECRET, yard.clock.now().isoformat())
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, *given, cwd=ROOT)
    try:
        async with asyncio.timeout(60):
            await receiver.has_come.wait()
    finally:
        child.kill()
        await child.wait()
    receiver.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    assert await yard.run() == 0, "somebody has it"
    yard.clock.move(yard.clock.now() + LEASE)
    assert await yard.due() == yard.clock.now()
    assert await yard.run() == 1
    assert len(receiver.got) == 2
    assert len(set(receiver.ids)) == len(set(receiver.bodies)) == 1
    assert await yard.states() == ["delivered"]


async def test_a_delivery_that_kills_every_worker_ends_like_any_other_i24(yard: Yard, receiver: Receiver) -> None:
    await yard.endpoint(receiver)
    await yard.happens("trial.started", 2)
    first, _ = await yard.rows()
    await yard.say("update webhook_delivery set tries = 10 where message_id = :one", one=first.message_id)
    await yard.run()
    assert await yard.states() == ["failed", "delivered"]
    assert [row.fault for row in await yard.rows()] == ["worker_lost", None]


async def test_one_of_three_endpoints_hangs_and_the_others_get_all_theirs_f56(yard: Yard) -> None:
    """It has at most eight lines open, once; then one at a time, and none while it is left alone."""
    async with receiving() as first, receiving() as hanging, receiving() as third:
        hanging.answer = None
        for each in (first, hanging, third):
            await yard.endpoint(each)
        await yard.happens("trial.started", 30)
        await yard.run(SEND)
        assert (len(first.got), len(hanging.got), len(third.got)) == (AT_ONCE,) * 3
        for _ in range(4):
            await yard.run(SEND)
        assert (len(first.got), len(hanging.got), len(third.got)) == (30, AT_ONCE, 30)
        assert hanging.most_open == AT_ONCE
        await yard.happens("trial.ended", 5)
        assert await yard.run(SEND, RESEND) == 10
        assert (len(first.got), len(hanging.got), len(third.got)) == (35, AT_ONCE, 35)
        yard.clock.move(yard.clock.now() + timedelta(seconds=8))
        assert await yard.run(SEND) == 0
        assert await yard.run(RESEND) == 1
        assert len(hanging.got) == AT_ONCE + 1
        hanging.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        while await yard.wait():
            pass
        assert len(set(hanging.ids)) == 35
        assert set(await yard.states()) == {"delivered"}


async def test_an_endpoint_without_an_answer_for_five_days_is_disabled(yard: Yard, receiver: Receiver) -> None:
    receiver.answer = BUSY
    endpoint, _ = await yard.endpoint(receiver)
    await yard.happens("trial.started")
    await yard.run()
    row = await yard.only(endpoint)
    assert (row.failing_since, row.failures) == (yard.clock.now(), 1)
    yard.clock.move(yard.clock.now() + timedelta(days=5) - timedelta(seconds=1))
    await yard.run(RESEND)
    assert (await yard.only(endpoint)).state == "enabled"
    yard.clock.move(yard.clock.now() + timedelta(seconds=20))
    await yard.happens("trial.ended")
    await yard.run(RESEND)
    row = await yard.only(endpoint)
    assert (row.state, row.disabled_reason) == ("disabled", "failing")
    assert set(await yard.states()) == {"failed"}


async def test_two_workers_at_once_send_each_delivery_once_and_share_the_endpoints(yard: Yard) -> None:
    async with receiving() as first, receiving() as second:
        for each in (first, second):
            each.thinking = 0.05
            await yard.endpoint(each)
        await yard.happens("trial.started", 40)
        others = [Yard(yard.database, yard.clock) for _ in range(3)]
        await asyncio.gather(*(one.run() for one in (yard, *others)))
        await yard.run()
        for each in (first, second):
            assert sorted(each.ids) == sorted(set(each.ids))
            assert len(each.ids) == 40
            assert each.most_open <= AT_ONCE


async def test_no_transaction_is_open_while_a_receiver_thinks(yard: Yard, receiver: Receiver) -> None:
    receiver.answer = None
    await yard.endpoint(receiver)
    await yard.happens("trial.started")
    sending = asyncio.create_task(yard.run(SEND))
    await receiver.has_come.wait()
    async with yard.database.begin() as session:
        busy = "select count(*) from pg_stat_activity where datname = current_database() and xact_start is not null"
        assert await session.scalar(text(busy)) == 1, "only this one"
    receiver.answer = b""
    await sending
    (row,) = await yard.rows()
    assert (row.state, row.tries, row.fault) == ("pending", 1, "timeout")
    assert msgspec.json.decode(row.body)["id"] == event_id(row.message_id)


async def test_a_receiver_that_asks_for_two_hours_is_left_alone_for_two_hours(yard: Yard, receiver: Receiver) -> None:
    receiver.answer = LATER
    await yard.endpoint(receiver)
    await yard.happens("trial.started")
    await yard.run()
    asked_at = yard.clock.now()
    await yard.happens("trial.ended")
    yard.clock.move(asked_at + timedelta(hours=2) - timedelta(seconds=1))
    assert await yard.run(RESEND) == 0
    receiver.answer = OK
    assert await yard.due() == asked_at + timedelta(hours=2)
    while await yard.wait():
        pass
    assert await yard.states() == ["delivered"] * 2
    assert yard.clock.now() == asked_at + timedelta(hours=2)


async def test_one_event_that_is_to_come_later_waits_alone(yard: Yard, receiver: Receiver) -> None:
    receiver.answer = FAILS.replace(b"content", b"retry-after: 7200\r\ncontent")
    await yard.endpoint(receiver)
    await yard.happens("trial.started")
    await yard.run()
    asked_at = yard.clock.now()
    receiver.answer = OK
    await yard.happens("trial.ended")
    assert await yard.run() == 1
    assert await yard.due() == asked_at + timedelta(hours=2)
