"""The database is short of something: connections, patience, room. Callers are told to come again, and nothing is half
done."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.sandbox.postgres import EmbeddedPostgres
from billing.sandbox.valkey import EmbeddedValkey
from tests.routes.house import ADULT, make_keys, opened, settings_of
from tests.routes.reading import problem
from tests.schema import make_schema

OVERFLOW = 10
"""Connections that a pool may take beyond its size."""
RIGHT = "/v1/accounts/a1/entitlements/messages?channel=mobile&pupil=p1"


async def test_f16_with_every_connection_lent_out_writers_are_told_soon_and_the_pool_lives(
    database_url: str, database: Database, valkey: EmbeddedValkey, clock: FixedClock
) -> None:
    settings = settings_of(database_url, valkey.url(), POOL_SIZE="4")
    async with opened(settings, clock, await make_keys(database, clock)) as api, AsyncExitStack() as lent:
        await api.family()
        for _ in range(4 + OVERFLOW):
            session = await lent.enter_async_context(api.services.database.begin())
            await session.execute(text("select 1"))
        async with asyncio.timeout(4):
            answers = await asyncio.gather(*(api.ask("PUT", f"/v1/accounts/b{one}", ADULT) for one in range(200)))
        for answer in answers:
            problem(answer, 503, "store_unavailable")
        for channel in ("mobile", "web"):
            await api.told("GET", RIGHT.replace("mobile", channel))
        await lent.aclose()
        assert (await api.ask("GET", "/v1/accounts/b1")).status_code == 404
        again = await asyncio.gather(*(api.ask("PUT", f"/v1/accounts/b{one}", ADULT) for one in range(20)))
        assert {answer.status_code for answer in again} == {201}


async def test_f18_limits_of_time_are_those_of_every_connection_and_bite(database: Database) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    async with database.begin() as session:
        limits = [await session.scalar(text(f"show {name}")) for name in names]
    assert limits == ["5s", "30s", "30s"]
    for limit, do in (("statement_timeout", "select pg_sleep(5)"), ("idle_in_transaction_session_timeout", "select 1")):
        with pytest.raises(DBAPIError):
            await overstay(database, limit, do)
        async with database.begin() as session:
            assert await session.scalar(text("select 1")) == 1


async def overstay(database: Database, limit: str, do: str) -> None:
    """A unit of work that takes longer than a limit, made short, allows."""
    async with database.begin() as session:
        await session.execute(text("select set_config(:limit, '100ms', true)"), {"limit": limit})
        await session.execute(text(do))
        await asyncio.sleep(0.5)
        await session.execute(text("select 1"))


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system that is soon full."""
    with tempfile.TemporaryDirectory(prefix="small-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "none", folder]
        made = subprocess.run(mount, capture_output=True, check=False)
        if made.returncode:
            pytest.skip("only who may mount can make a small disk")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
async def test_f21_a_full_disk_refuses_what_is_written_and_answers_what_is_read(
    small_disk: Path, valkey: EmbeddedValkey, clock: FixedClock
) -> None:
    with EmbeddedPostgres(small_disk / "postgres") as server:
        url = server.url()
        await asyncio.to_thread(make_schema, url)
        database = Database(url)
        async with opened(settings_of(url, valkey.url()), clock, await make_keys(database, clock)) as api:
            await api.family()
            filler = fill(small_disk)
            kept, refused = list[int](), list[int]()
            while len(refused) < 20:
                number = len(kept) + len(refused)
                answer = await api.ask("PUT", f"/v1/accounts/b{number}", ADULT)
                if answer.status_code == 201:
                    kept.append(number)
                else:
                    problem(answer, 503, "store_unavailable")
                    refused.append(number)
            assert (await api.told("GET", RIGHT))["allowed"]
            assert (await api.told("GET", RIGHT + "&consistency=strong"))["reason"] == "trial"
            filler.unlink()
            server.revive()
            for number in kept:
                assert (await api.ask("GET", f"/v1/accounts/b{number}")).status_code == 200
            for number in refused:
                assert (await api.ask("PUT", f"/v1/accounts/b{number}", ADULT)).status_code == 201
        async with database.begin() as session:
            told = await session.execute(text("select action, count(*) from audit where account like 'b%' group by 1"))
        await database.close()
    assert [tuple(row) for row in told] == [("account.confirmed", len(kept) + len(refused))]


def fill(folder: Path) -> Path:
    """Take all that is left of a disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
    return filler
