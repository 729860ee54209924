"""Planning the letters that tell of trials' ends: a crowd at a time, beside one after the other by the ORM."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from billing.catalog.service import load
from billing.kernel.db import Database
from billing.migrations.run import upgrade
from billing.notices import service as notices
from billing.notices.planning import plan_trial_endings
from billing.sandbox.postgres import SUPERUSER
from billing.trials import untold
from billing.trials.untold import Waiting
from tests.benchmarks.place import Place, Row, cpu_seconds, used

DATABASE = "bench_sweep"
POLICY = load(None).trial
AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
MOST_DUE = 200_000
BATCH = 200
OURS, ORM = "planned by the crowd", "planned one by one, 200 in a transaction"
# As the product's own are: what came later has the greater one.
_ID = "cast(lpad(to_hex(1790000000000 + n), 12, '0') || '7' || substr(md5(cast(n as text)), 2, 19) as uuid)"
_SEED = (
    """insert into account (account, email, locale, kind, age_band, created_at, confirmed_at, first_confirmed_at)
    select 'a-' || n, 'p' || n || '@example.pl', 'pl', 'guardian', 'adult', since, since, since
    from asked, generate_series(0, total - 1) n""",
    "insert into entitlement_account select 'a-' || n from asked, generate_series(0, total - 1) n",
    "insert into entitlement_pupil select 'p-' || n from asked, generate_series(0, total - 1) n",
    """insert into entitlement_link (account, pupil, linked_at) select 'a-' || n, 'p-' || n, since
    from asked, generate_series(0, total - 1) n""",
    f"""insert into entitlement_grant (id, pupil, source, origin, features, since, until, bound, created_at)
    select {_ID}, 'p-' || n, 'trial', 'trl_' || n, '{{messages}}', since, until, false, since
    from asked, generate_series(0, total - 1) n""",
    f"""insert into trial (id, season, season_ends, pupil, pupil_hash, starts_at, reverts_on, ends_at, told_by,
        tell_from, prolongations)
    select {_ID}, '2026/27', '2027-08-31', 'p-' || n, sha256(cast('p-' || n as bytea)), since,
        cast(ends as date), ends, ends - interval '7 days', ends - interval '10 days', 0
    from (select n, since, until + case when n < due then interval '0' else interval '60 days' end as ends
        from asked, generate_series(0, total - 1) n) made""",
    "insert into trial_to_tell select id, tell_from from trial order by id",
)


class Ran(msgspec.Struct, frozen=True):
    """What planning so many took: by the clock, and on a core of this process and of the database."""

    planned: int
    wall: float
    cpu: float


async def rows(place: Place) -> list[Row]:
    """Trials planned a second of CPU, a part of all trials being due on one day."""
    due = min(MOST_DUE, place.accounts)
    place.postgres.make_database(DATABASE)
    url = place.postgres.url(DATABASE)
    await asyncio.to_thread(lambda: asyncio.run(upgrade(url)))
    link = await asyncpg.connect(user=SUPERUSER, database=DATABASE, host=str(place.postgres.socket_folder))
    try:
        await link.execute("set session_replication_role = replica")  # each row is right: nothing need be looked up
        await link.execute("create temp table asked (total integer, due integer, since timestamptz, until timestamptz)")
        span = AT - timedelta(days=30), AT + timedelta(days=9)
        await link.execute("insert into asked values ($1, $2, $3, $4)", place.accounts, due, *span)
        for statement in _SEED:
            await link.execute(statement, timeout=3600)
        await link.execute("vacuum analyze", timeout=3600)
        await link.execute("checkpoint", timeout=3600)  # or whoever is measured first writes it out
    finally:
        await link.close()
    database = Database(url)
    found: dict[str, list[Ran]] = {ORM: [], OURS: []}
    for _ in range(min(3, place.rounds)):
        found[ORM].append(await _timed(place, database, _one_by_one, min(3 * BATCH, due // 10)))
        found[OURS].append(await _timed(place, database, _crowd, due // 4))
    await database.close()
    return _told(found)


async def _crowd(database: Database) -> int:
    async with database.begin() as session:
        return await plan_trial_endings(session, POLICY, AT)


async def _one_by_one(database: Database) -> int:
    async with database.begin() as session:
        due = (await session.execute(untold.due(AT, BATCH))).all()
        for trial in due:
            await notices.tell_of_trial(session, Waiting(*trial), POLICY, AT)
        return len(due)


async def _timed(place: Place, database: Database, do: Callable[[Database], Awaitable[int]], least: int) -> Ran:
    before, own, began = cpu_seconds(place.postgres.pid), time.process_time(), time.perf_counter()
    planned = 0
    while planned < least and (done := await do(database)):
        planned += done
    wall, cpu = time.perf_counter() - began, time.process_time() - own
    return Ran(planned, wall, cpu + used(before, cpu_seconds(place.postgres.pid)))


def _told(found: dict[str, list[Ran]]) -> list[Row]:
    def cost(name: str) -> float:
        return statistics.median(ran.cpu / ran.planned for ran in found[name] if ran.planned)

    return [
        Row(
            name,
            cost(ORM) / cost(name),
            {
                "planned a second of CPU": f"{1 / cost(name):,.0f}",
                "planned a second": f"{statistics.median(ran.planned / ran.wall for ran in found[name]):,.0f}",
                "CPU µs a trial": f"{cost(name) * 1e6:.0f}",
            },
            "5" if name == OURS else "",
        )
        for name in found
    ]
