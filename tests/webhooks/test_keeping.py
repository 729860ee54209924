"""Events that come in together are kept together: one commit for many, and nobody's trouble is another's."""

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from datetime import datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from billing.kernel.bodies import check_text
from billing.kernel.clock import SystemClock
from billing.kernel.db import Database
from billing.kernel.errors import Malformed
from tests.serving import served
from tests.webhooks.conftest import SECRETS, Door, event, kept
from webhooks.keeping import HANDLE, PAUSE, Intake
from webhooks.signature import sign
from webhooks.translate import Head, head_of


def head(number: int, **changes: object) -> Head:
    return head_of(event(id=f"evt_{number}", **changes), expects_livemode=False)


async def commits(database: Database) -> int:
    """How many transactions have written what is in the inbox."""
    async with database.begin() as session:
        return int(await session.scalar(text("select count(distinct cast(xmin as text)) from stripe_event")) or 0)


async def test_events_of_a_crowd_share_commits_and_each_is_kept_as_it_came(door: Door, database: Database) -> None:
    bodies = [event(id=f"evt_{number:03}", data={"object": {"id": f"cs_{number}"}}) for number in range(120)]
    answers = await asyncio.gather(*(door.send(body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    rows = await kept(database)
    assert [(row.body, row.object_id) for row in rows] == [(body, f"cs_{n}") for n, body in enumerate(bodies)]
    assert await commits(database) <= len(bodies) // 4


async def test_s06_copies_in_one_group_are_one_event_and_one_of_them_is_the_first(
    database: Database, at: datetime
) -> None:
    intake = Intake(database)
    told = await asyncio.gather(*(intake.keep(head(number % 3), at) for number in range(30)))
    assert sum(told) == 3
    assert [row.id for row in await kept(database)] == ["evt_0", "evt_1", "evt_2"]
    assert await intake.keep(head(1), at) is False
    assert await intake.keep(head(9), at) is True


async def test_a_crowd_of_groups_rings_at_once_and_once_more_for_all_that_came_after(
    database_url: str, at: datetime
) -> None:
    class Bell:
        rung: list[str] = []  # noqa: RUF012

        def ring(self, names: Iterable[str]) -> None:
            self.rung.extend(names)

    bell = Bell()
    heard = Database(database_url, doorbell=bell)
    intake = Intake(heard)
    for crowd in range(3):
        began, before = time.perf_counter(), len(bell.rung)
        await intake.keep(head(crowd * 100), at)
        assert len(bell.rung) == before + 1, "who comes first waits for nobody"
        for number in range(1, 20):
            await intake.keep(head(crowd * 100 + number), at)
        await asyncio.sleep(2 * PAUSE)
        assert 2 <= len(bell.rung) - before <= 2 + (time.perf_counter() - began) / PAUSE
    before = len(bell.rung)
    assert {*bell.rung} == {HANDLE}
    await intake.keep(head(0), at)
    await intake.keep(head(300, livemode=True), at)
    await asyncio.sleep(2 * PAUSE)
    assert len(bell.rung) == before, "a copy, or what waits for people, is nothing to handle"
    await heard.close()


async def test_i24_an_event_that_the_database_refuses_spoils_no_other(door: Door, database: Database) -> None:
    async with database.begin() as session:
        await session.execute(text("alter table stripe_event add constraint odd check (object_id <> 'cs_refused')"))
    bodies = {
        n: event(id=f"evt_{n}", data={"object": {"id": "cs_refused" if n == 7 else f"cs_{n}"}}) for n in range(20)
    }
    answers = await asyncio.gather(*(door.send(body) for body in bodies.values()))
    assert [answer.status_code for answer in answers] == [500 if n == 7 else 200 for n in bodies]
    assert len(await kept(database)) == 19


async def test_whoever_goes_away_takes_nobody_along(database: Database, at: datetime) -> None:
    """A client that hangs up cancels its handler, before its group is written or while it is."""
    intake = Intake(database)
    for turn in range(10):
        tasks = [asyncio.create_task(intake.keep(head(turn * 100 + number), at)) for number in range(20)]
        for _ in range(turn):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        told = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert all(one is True for one in told[1::2]), told
    everybody = [asyncio.create_task(intake.keep(head(5000 + number), at)) for number in range(20)]
    await asyncio.sleep(0)
    for task in everybody:
        task.cancel()
    await asyncio.gather(*everybody, return_exceptions=True)
    assert await asyncio.wait_for(intake.keep(head(6000), at), 10) is True


async def test_i21_a_group_whose_commit_failed_is_told_no(door: Door, database: Database) -> None:
    async with database.begin() as session:
        await session.execute(text("lock table stripe_event in access exclusive mode"))
        waiting = [asyncio.create_task(door.send(event(id=f"evt_{number}"))) for number in range(10)]
        await asyncio.sleep(0.2)
        others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
        await session.execute(text(f"select pg_terminate_backend(pid) {others}"))
    answers = await asyncio.gather(*waiting)
    assert {answer.status_code for answer in answers} == {503}
    assert await kept(database) == []
    assert (await door.send(event())).status_code == 200, "the next group begins anew"


NAMES = st.sampled_from(["id", "type", "a b", "ż", 'q"', "\\u0069d"])
MEMBERS = st.lists(st.tuples(NAMES, st.sampled_from(['"x"', "7", "{}", '{"a" : [1, 2]}', " null "])), max_size=4)


@given(MEMBERS, MEMBERS, st.sampled_from(["", " ", "\n  "]))
def test_s03_a_name_given_twice_where_we_read_is_seen_as_the_whole_check_sees_it(
    top: list[tuple[str, str]], inner: list[tuple[str, str]], blank: str
) -> None:
    """The quick look lets nothing pass that looking at the whole text would refuse."""

    def written(members: list[tuple[str, str]]) -> str:
        names = ((name.replace('"', '\\"'), value) for name, value in members)
        return f",{blank}".join(f'"{name}"{blank}:{blank}{value}' for name, value in names)

    plain = event().decode()[:-1]
    begun = plain.replace(
        '"object":"checkout.session"', f'"object":"checkout.session"{"," * bool(inner)}{written(inner)}'
    )
    body = f"{begun}{',' * bool(top)}{written(top)}}}".encode()
    try:
        check_text(body)
    except Malformed:
        assert head_of(body, expects_livemode=False).type == "unreadable"


@pytest.mark.slow
async def test_i21_no_event_that_was_answered_is_lost_when_the_server_is_killed(
    database: Database, database_url: str
) -> None:
    acknowledged: set[str] = set()
    enough = asyncio.Event()
    sent = 0

    async def send(port: int, sender: int) -> None:
        nonlocal sent
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for number in range(10_000):
                body = event(id=f"evt_{sender}_{number}")
                sent += 1
                headers = [(b"stripe-signature", sign(body, SECRETS[0], int(SystemClock().now().timestamp())))]
                try:
                    answer = await client.post("/webhooks/stripe", content=body, headers=headers)
                except httpx2.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged.add(f"evt_{sender}_{number}")
                if len(acknowledged) >= 200:
                    enough.set()

    with served(database_url, STRIPE_WEBHOOK_SECRETS=SECRETS[0]) as (port, process):
        senders = [asyncio.create_task(send(port, sender)) for sender in range(16)]
        await asyncio.wait_for(enough.wait(), 60)
        os.killpg(process.pid, signal.SIGKILL)
        await asyncio.gather(*senders)
    there = {row.id for row in await kept(database)}
    assert len(acknowledged) >= 200
    assert acknowledged <= there
    assert len(there) <= sent
