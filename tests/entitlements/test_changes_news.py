"""What was committed becomes news with numbers: every change, each once, without a gap, in an order that can be relied
on, whoever is writing, numbering, waiting or dying meanwhile."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from entitlements import news, numbering, service
from entitlements.seen import Seen
from tests.entitlements.following import DAY, SECOND, GivenUp, family, give, give_up, mark, news_of, number


def again(database: Database) -> Database:
    """Another process's way to the same database."""
    return Database(database.engine.url.render_as_string(hide_password=False))


async def test_news_name_every_account_that_a_write_concerns(database: Database, at: datetime) -> None:
    await family(database, at, "mother p1", "mother p2", "father p1")
    assert await number(database, at + SECOND) == 5, "two accounts and three links"
    before = len(await news_of(database))
    async with database.begin() as session:
        await news.reading(session, at)
        await give(session, at, "p1")
        await give(session, at, "p9")
        await service.put_school_blocks(session, "sp5", ["messages"], at)
        await service.set_notice_pending(session, "mother", ["p2"], pending=True)
        await service.remove_account(session, "father")
    assert await number(database, at + SECOND) == 5
    assert (await news_of(database))[before:] == [
        (6, "mother", "p1", "pass_started"),
        (7, "mother", "p1", "blocked"),
        (8, "mother", "p2", "blocked"),
        (9, "mother", "p2", "notice_changed"),
        (10, "father", None, "account_removed"),
    ]
    assert await number(database, at + SECOND) == 0


async def test_instants_are_those_of_the_products_clock(database: Database, at: datetime) -> None:
    await family(database, at, "a1 p1")
    later = at + 1000 * DAY  # far from the database's own clock
    async with database.begin() as session:
        await give(session, later, "p1", since=later + DAY)
        await service.set_span(session, "paid", "paid", later + 2 * DAY, later + DAY, later + 3 * DAY)
    await asyncio.sleep(0.05)
    await number(database, later + SECOND)
    async with database.begin() as session:
        query = text("select changed_at, effective_at from entitlement_news order by seq desc limit 2")
        moved, planned = (await session.execute(query)).all()
    assert tuple(planned) == (later, later + DAY)
    assert moved.changed_at == moved.effective_at
    assert timedelta(seconds=0.05) <= later + SECOND - moved.changed_at < timedelta(seconds=20), "when it was recorded"


async def test_a_transaction_held_open_holds_up_nobody_and_is_not_missed(database: Database, at: datetime) -> None:
    async with database.begin() as held:
        await service.put_account(held, "held")
        await mark(database, "quick")
        await number(database, at)
        async with database.begin() as other:
            await service.put_account(other, "other")
            await number(database, at)
        await number(database, at)
        assert [account for _, account, _, _ in await news_of(database)] == ["quick", "other"]
    await number(database, at)
    assert [each[:2] for each in await news_of(database)] == [(1, "quick"), (2, "other"), (3, "held")]


async def test_of_two_writes_of_one_fact_the_later_is_told_later_though_its_transaction_began_first(
    database: Database, at: datetime
) -> None:
    await family(database, at, "a1 p1")
    await number(database, at)
    async with database.begin() as early:
        await service.put_account(early, "early")  # now it has its number
        async with database.begin() as late:
            await give(late, at, "p1")
        await service.end_grants(early, "paid", at, "refunded")
    await number(database, at)
    told = [cause for _, account, _, cause in await news_of(database) if account == "a1"]
    assert told[-2:] == ["pass_started", "refunded"]


async def _write(database: Database, writer: int, at: datetime, expected: list[str]) -> None:
    """Accounts of one writer: some in one transaction, some given up, each holding its transaction for a while."""
    random, count = Random(writer), 0
    for _ in range(12):
        names = [f"w{writer}-{count + each}" for each in range(random.randint(1, 4))]
        count += len(names)
        is_good = random.random() < 0.8
        try:
            async with database.begin() as session:
                for name in names:
                    await service.put_account(session, name)
                    await asyncio.sleep(random.random() * 0.02)
                if not is_good:
                    await give_up()
        except GivenUp:
            continue
        expected.extend(names)


async def _number(database: Database, worker: int, at: datetime, ended: asyncio.Event) -> int:
    """A numbering worker that loses its connection again and again, before the commit and with it."""
    random, died = Random(worker), 0
    while not ended.is_set():
        try:
            async with database.begin() as session:
                await numbering.number(session, at, most=random.randint(1, 5))
                if random.random() < 0.4:
                    await _cut(database, session)
        except DBAPIError:
            died += 1
        await asyncio.sleep(0)
    return died


async def _cut(database: Database, session: AsyncSession) -> None:
    pid = await session.scalar(text("select pg_backend_pid()"))
    async with database.begin() as other:
        await other.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})


async def test_eight_writers_and_two_dying_numberers_leave_every_change_once_and_no_gap(
    database: Database, at: datetime
) -> None:
    expected: list[str] = []
    ended = asyncio.Event()
    async with AsyncExitStack() as stack:
        others = [again(database) for _ in range(2)]
        for other in others:
            stack.push_async_callback(other.close)
        numbering_ones = [asyncio.create_task(_number(other, n, at, ended)) for n, other in enumerate(others)]
        await asyncio.gather(*(_write(database, writer, at, expected) for writer in range(8)))
        ended.set()
        assert sum(await asyncio.gather(*numbering_ones)) > 0, "somebody died"
    await number(database, at)
    told = await news_of(database)
    assert [seq for seq, *_ in told] == list(range(1, len(expected) + 1))
    assert sorted(str(account) for _, account, _, _ in told) == sorted(expected)
    for writer in range(8):
        own = [account for _, account, _, _ in told if account and account.startswith(f"w{writer}-")]
        assert own == [name for name in expected if name in own], "one writer's transactions stay in their order"


async def test_who_finds_another_at_it_leaves_it_to_him(database: Database, at: datetime) -> None:
    await mark(database, "a1")
    async with database.begin() as first:
        assert await numbering.number(first, at) == 1
        async with database.begin() as second:
            assert await numbering.number(second, at) == 0
    assert await news_of(database) == [(1, "a1", None, "account_added")]


async def test_of_a_great_many_none_is_told_twice_because_an_earlier_transaction_ended_late(
    database: Database, at: datetime
) -> None:
    async with database.begin() as early:
        await service.put_account(early, "early")  # its transaction has a number now, and is still open
        await mark(database, "meanwhile")
        await number(database, at)
    await mark(database, "late")
    await mark(database, "last")
    await number(database, at, most=1)
    assert [account for _, account, _, _ in await news_of(database)] == ["meanwhile", "early", "late", "last"]


async def test_a_great_many_writes_are_told_by_and_by_with_whole_transactions(database: Database, at: datetime) -> None:
    async with database.begin() as held:
        await service.put_account(held, "held")
        for first in range(0, 40, 4):
            async with database.begin() as session:
                for each in range(first, first + 4):
                    await service.put_account(session, f"a{each:02}")
        async with database.begin() as session:
            assert await numbering.number(session, at, most=6) == 8
            assert await numbering.number(session, at, most=6) == 8
        assert await number(database, at, most=6) == 24
    assert await number(database, at, most=6) == 1
    assert [account for _, account, _, _ in await news_of(database)] == [f"a{each:02}" for each in range(40)] + ["held"]


async def test_after_a_restore_on_a_server_with_other_transactions_nothing_is_missed(
    database: Database, at: datetime
) -> None:
    await mark(database, "known")
    await number(database, at)
    async with database.begin() as session:
        await session.execute(text("update entitlement_numbering set seen = '900000000:900000009:900000003'"))
        await session.execute(text("update entitlement_change set xid = '900000001'"))
    await mark(database, "new")
    await number(database, at)
    assert await news_of(database) == [
        (1, "known", None, "account_added"),
        (2, "known", None, "account_added"),
        (3, "new", None, "account_added"),
    ]
    await mark(database, "newer")
    await number(database, at)
    assert (await news_of(database))[3:] == [(4, "newer", None, "account_added")]


async def test_it_is_due_when_something_was_committed_and_at_the_very_instant_of_a_change(
    database: Database, at: datetime
) -> None:
    async def due() -> datetime | None:
        async with database.begin() as session:
            return await numbering.next_due(session)

    assert await due() is None
    await family(database, at, "a1 p1")
    assert await due() is not None, "by the database's clock, as nobody has said when that was"
    await number(database, at)
    assert await due() is None
    async with database.begin() as session:
        await give(session, at, "p1", since=at + DAY, until=at + 2 * DAY)
    assert await due() == at
    await number(database, at)
    assert await due() == at + DAY
    await number(database, at + DAY)
    assert await due() == at + 2 * DAY
    await number(database, at + 2 * DAY)
    assert await due() is None


@st.composite
def snapshots(draw: st.DrawFn) -> Seen:
    beyond = draw(st.integers(10, 60))
    running = draw(st.frozensets(st.integers(5, beyond - 1)))
    return Seen(min([*running, beyond]), beyond, running)


@given(snapshots(), snapshots(), st.integers(10, 60))
def test_a_part_of_a_later_view_is_told_beside_all_that_was_seen(seen: Seen, later: Seen, last: int) -> None:
    both = seen.and_then(later, last)
    told = [xid for xid in range(70) if seen.tells(xid) or (xid <= last and later.tells(xid))]
    assert [xid for xid in range(70) if both.tells(xid)] == told
    assert all(both.tells(xid) for xid in range(both.least))
    assert not both.tells(both.least)


@given(snapshots())
def test_it_is_written_as_postgresql_writes_it(seen: Seen) -> None:
    assert Seen.read(str(seen)) == seen


@pytest.mark.parametrize("seen", ["10:20:10,14,19", "12:12:"])
async def test_we_and_postgresql_read_a_snapshot_alike(database: Database, seen: str) -> None:
    is_visible = "pg_visible_in_snapshot(n::text::xid8, cast(cast(:seen as text) as pg_snapshot))"
    query = text(f"select {is_visible} from generate_series(3, 30) n")
    async with database.begin() as session:
        told = list(await session.scalars(query, {"seen": seen}))
    assert told == [Seen.read(seen).tells(xid) for xid in range(3, 31)]
