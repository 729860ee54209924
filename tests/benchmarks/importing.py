"""`billing import accounts` beside bare COPY: what it costs that each line is checked, that what is there already is
met, and that everything a registration leads to is written with it."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from billing.catalog.service import load
from billing.kernel.clock import SystemClock
from billing.kernel.db import Database
from billing.migrations.run import upgrade
from billing.sandbox.postgres import SUPERUSER
from billing.trials.arriving import Terms
from billing.trials.importing import Tally, run
from tests.benchmarks.place import Place, Row, cpu_seconds, used

TERMS = Terms(catalogue=load(None), secret="b" * 40)
MOST = 1_000_000
FLOOR = "COPY of the lines into one table"
FILES = {
    "people": "import of accounts",
    "pupils": "import of accounts, each with a pupil and its trial",
}
_WRITTEN = ("account", "entitlement_account", "audit", "entitlement_change", "entitlement_pupil", "entitlement_link",
            "trial", "trial_to_tell", "entitlement_grant", "outbox")  # fmt: skip


class Ran(msgspec.Struct, frozen=True):
    """What one way took: seconds by the clock, and on a core of this process and of the database."""

    wall: float
    cpu: float


async def rows(place: Place) -> list[Row]:
    """Lines a second, and the ratio to COPY of the same lines into one table with a primary key and a unique index, and
    to COPY of every row that the import wrote into tables with the same indexes."""
    lines = min(place.accounts, MOST)
    files = {
        name: write(place.folder / f"{name}.ndjson", lines, has_pupils=name == "pupils")
        for name in ("people", "pupils")
    }
    found: dict[str, list[Ran]] = {}
    for _ in range(min(place.rounds, 3)):
        for name, path in files.items():
            url = await _fresh(place)
            database = Database(url)  # closed after the last look: what a backend has used goes with it
            ways: dict[str, Callable[[], Awaitable[None]]] = {
                FILES[name]: partial(_import, database, path),
                f"the same lines again ({name})": partial(_import, database, _again(path)),
            }
            link = await asyncpg.connect(
                user=SUPERUSER, database="bench_import", host=str(place.postgres.socket_folder)
            )
            try:
                found.setdefault(FLOOR, []).append(await _bare(place, link, lines))
                for way, do in ways.items():
                    found.setdefault(way, []).append(await _timed(place, do))
                found.setdefault(f"COPY of all that was written ({name})", []).append(await _copy_all(place, link))
            finally:
                await link.close()
                await database.close()
    return _told(found, lines)


def _told(found: dict[str, list[Ran]], lines: int) -> list[Row]:
    def of(name: str) -> Ran:
        ran = found[name]
        return Ran(statistics.median(one.wall for one in ran), statistics.median(one.cpu for one in ran))

    floor, told = of(FLOOR), list[Row]()
    for way in found:
        one, name = of(way), next((name for name, words in FILES.items() if words == way), None)
        figures = {"lines a second": f"{lines / one.wall:,.0f}", "CPU µs a line": f"{one.cpu / lines * 1e6:.1f}"}
        if name is not None:
            whole = of(f"COPY of all that was written ({name})")
            figures["ratio to COPY of all that was written"] = f"{whole.cpu / one.cpu:.2f}"
        told.append(Row(way, floor.cpu / one.cpu, figures, "≥ 0.35" if name is not None else ""))
    return told


def write(path: Path, lines: int, *, has_pupils: bool) -> Path:
    """A file of so many confirmed accounts, in no order."""
    numbers = list(range(lines))
    random.Random(7).shuffle(numbers)
    with path.open("wb") as file:
        for number in numbers:
            pupil = f',"pupil":"p-{number}","school":"sp-{number % 500}"' if has_pupils else ""
            file.write(
                f'{{"account":"a-{number}","email":"parent{number}@example.pl","kind":"guardian","age_band":"adult",'
                f'"email_confirmed":true{pupil}}}\n'.encode()
            )
    return path


async def _fresh(place: Place) -> str:
    link = await asyncpg.connect(user=SUPERUSER, database="postgres", host=str(place.postgres.socket_folder))
    try:
        await link.execute("drop database if exists bench_import")
    finally:
        await link.close()
    place.postgres.make_database("bench_import")
    url = place.postgres.url("bench_import")
    await asyncio.to_thread(lambda: asyncio.run(upgrade(url)))
    return url


async def _timed(place: Place, do: Callable[[], Awaitable[Any]]) -> Ran:
    database = place.postgres.pid
    before, own, began = cpu_seconds(database), time.process_time(), time.perf_counter()
    await do()
    wall, cpu = time.perf_counter() - began, time.process_time() - own
    return Ran(wall, cpu + used(before, cpu_seconds(database)))


async def _import(database: Database, path: Path) -> None:
    tallies: list[Tally] = []
    await run(database, SystemClock(), TERMS, path, path.with_suffix(".failures"), tallies.append)
    if not tallies or tallies[-1].failed:
        raise RuntimeError("the import did not take every line")


def _again(path: Path) -> Path:
    """The same lines as another file, so that each is looked at again."""
    target = path.with_suffix(".again.ndjson")
    target.write_bytes(path.read_bytes() + b"\n")
    return target


async def _bare(place: Place, link: asyncpg.Connection, lines: int) -> Ran:
    await link.execute(
        """create table if not exists bare (account text primary key, email text unique, kind text, age_band text,
        locale text, created_at timestamptz)"""
    )
    await link.execute("truncate bare")
    at = SystemClock().now()
    made = [(f"a-{n}", f"parent{n}@example.pl", "guardian", "adult", "pl", at) for n in range(lines)]
    random.Random(7).shuffle(made)

    async def copy() -> None:
        await link.copy_records_to_table("bare", records=made)

    return await _timed(place, copy)


async def _copy_all(place: Place, link: asyncpg.Connection) -> Ran:
    """The rows an import has written, once more, by COPY from files into tables of the same shape."""
    for name in _WRITTEN:
        await link.execute(f"drop table if exists again_{name}")
        await link.execute(f"create table again_{name} (like {name} including all)")
        await link.copy_from_table(name, output=place.folder / f"{name}.copy", format="binary")

    async def copy() -> None:
        for name in _WRITTEN:
            await link.copy_to_table(f"again_{name}", source=place.folder / f"{name}.copy", format="binary")

    ran = await _timed(place, copy)
    await link.execute(f"drop table {', '.join(f'again_{name}' for name in _WRITTEN)}")
    return ran
