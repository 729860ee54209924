"""Everybody at once: whatever the accounts look like and however the stream is cut, the shelf tells the truth (I05)."""

import asyncio
import random
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from billing.kernel.db import Database
from billing.kernel.line import Line, server_of
from entitlements.reader import FactsReader
from entitlements.snapshot import loading
from entitlements.snapshot.keeper import Keeper

pytestmark = pytest.mark.anyio

_ACCOUNTS = 700
_FILLED_BY = (
    "insert into entitlement_account select 'a' || n from generate_series(0, 699) n",
    """
    insert into entitlement_pupil
    select case when n % 3 = 0 then 'p' || n else md5(n::text)::uuid::text end, 'sp' || n % 5
    from generate_series(0, 799) n
    """,
    # Most have one pupil, every seventh has two; of the last hundred nobody is the parent but somebody's neighbour.
    """
    insert into entitlement_link (account, pupil, linked_at, notice_pending)
    select 'a' || n % 700, case when n % 3 = 0 then 'p' || n else md5(n::text)::uuid::text end,
        timestamptz '2026-09-01 08:00+00' - n * interval '1 minute', n % 11 = 0
    from generate_series(0, 799) n
    """,
    """
    insert into entitlement_grant (id, pupil, source, origin, features, since, until, bound, end_reason, created_at)
    select gen_random_uuid(), case when n % 3 = 0 then 'p' || n else md5(n::text)::uuid::text end, 'paid',
        case n % 6 when 0 then 'sub_short' when 1 then 'trl_0123456789ABCDEFGHJKMNPQRS'
            when 2 then 'sub_0123456789abcdefghijklmnop' when 3 then 'xyz_0123456789abcdefghjkmnpqrs'
            else 'sub_' || lpad(n::text, 26, '0123456789abcdefghjkmnpqrs') end,
        case when n % 13 = 0 then '{}'::text[] || ('od,d' || n % 2) else '{messages,homework}' end,
        timestamptz '2026-09-01 08:00+00' + n * interval '1 microsecond',
        case when n % 17 > 0 then timestamptz '2027-06-30 22:00+00' end, true,
        case when n % 19 = 1 and n % 17 > 0 then 'refunded' end, now()
    from generate_series(0, 1099) m, lateral (select m % 800 as n) x where n % 23 > 0
    """,
    "insert into entitlement_block select 'sp1', 'messages', now()",
    "insert into entitlement_block values ('sp1', 'homework', now()), ('sp2', 'homework', '2026-08-01')",
)


@pytest.fixture
async def town(database: Database) -> list[str]:
    """Accounts of every shape."""
    async with database.begin() as session:
        for statement in _FILLED_BY:
            await session.execute(text(statement))
    return [f"a{number}" for number in range(_ACCOUNTS)]


async def test_everybody_is_on_the_shelf_as_the_database_tells_them(
    town: list[str], database: Database, tmp_path: Path
):
    engine = database.engine.sync_engine
    line = Line(engine, 5)
    shelf = await loading.load(engine, line, lambda accounts, size: Keeper(tmp_path / "shelf", accounts, size))
    line.drop()
    truth = await FactsReader(database).accounts(town)
    told = {account: facts for account in town if (facts := shelf.find(account)) is not None}
    assert told == truth
    assert len(told) == _ACCOUNTS
    assert shelf.used == len(told)
    shelf.close()


@pytest.mark.parametrize("longest", [1, 40, 500, 30_000])
async def test_the_stream_may_come_in_pieces_of_any_length(
    town: list[str], database: Database, tmp_path: Path, longest: int
):
    link: Any = await asyncpg.connect(**server_of(database.engine.sync_engine))
    stream = bytearray()

    async def take(piece: bytes) -> None:
        stream.extend(piece)

    await link.copy_from_query(loading._EVERYBODY, [], "", False, output=take, format="binary")
    await link.close()
    dice, told = random.Random(longest), list[dict[str, object]]()
    for cut in (False, True):
        shelf = Keeper(tmp_path / f"shelf.{cut}", _ACCOUNTS, 1 << 20)
        rows, place = loading.Rows(shelf, []), 0
        while place < len(stream):
            piece = dice.randint(1, longest) if cut else len(stream)
            await rows.take(bytes(stream[place : place + piece]))
            place += piece
        rows.end()
        told.append({account: facts for account in town if (facts := shelf.find(account)) is not None})
        assert len(told[-1]) + len(rows.odd) == _ACCOUNTS
        shelf.close()
    assert told[0] == told[1]
    assert len(told[0]) > _ACCOUNTS / 2


@pytest.mark.parametrize("half", [1, 2])
async def test_a_load_that_is_cut_off_leaves_nothing_behind(
    town: list[str], database: Database, tmp_path: Path, half: int
):
    """The first half is read while the second waits for it; either may lose its connection."""
    del town
    engine = database.engine.sync_engine
    line, path = Line(engine, 5), tmp_path / "shelf"
    for statement in _MANY_MORE:
        async with database.begin() as session:
            await session.execute(text(statement))
    cut = asyncio.create_task(_cut_off(database, half))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await loading.load(engine, line, lambda many, size: Keeper(path, many, size))
    line.drop()
    await asyncio.wait_for(cut, 5)
    assert not path.exists()
    assert not [task for task in asyncio.all_tasks() if "copy" in repr(task)]


_MANY_MORE = (
    "insert into entitlement_account select 'm' || n from generate_series(1, 60000) n",
    "insert into entitlement_pupil select 'm' || n from generate_series(1, 60000) n",
    "insert into entitlement_link select 'm' || n, 'm' || n, now() from generate_series(1, 60000) n",
)


async def _cut_off(database: Database, half: int) -> None:
    """End the connection of a half, which is the older or the younger one, as soon as it copies."""
    query = text("""
    select pg_terminate_backend(pid) from (
        select pid, query, rank() over (order by backend_start) as half
        from pg_stat_activity where application_name = 'billing-load'
    ) loading where half = :half and query ilike 'copy%'""")
    while True:
        async with database.begin() as session:
            if list(await session.scalars(query, {"half": half})):
                return
        await asyncio.sleep(0.002)
