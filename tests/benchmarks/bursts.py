"""When everything comes at once (R135): a hundred thousand rights that end at one instant, the rush at seven in the
morning, a process that starts under load. Each beside the floor at the same rate."""

import asyncio
import time
from pathlib import Path

import asyncpg

from billing.sandbox.postgres import SUPERUSER
from tests.benchmarks.answering import say
from tests.benchmarks.contenders import FLOOR, HOT, Contender, Where, asking, of_name, one
from tests.benchmarks.load import Open, answer_of, open_loop
from tests.benchmarks.place import Place, Row, Server, ours
from tests.benchmarks.servers import patiently

MOST_AT_ONCE = 100_000
QUIET, RUSH = 200, 4000
AHEAD = 8.0
"""Seconds from the planning of the end to the end."""

_ENDING = """with moved as (
    update entitlement_grant set until = $2 where pupil = any (select 'p-' || n from generate_series(0, $1::int - 1) n)
    returning pupil)
insert into entitlement_change (pupil, cause) select pupil, 'pass_moved' from moved"""


def rows(place: Place, servers: dict[Where, Server]) -> list[Row]:
    """All three; the ratio is the floor's p99 to ours."""
    seconds = 4.0 if place.seconds >= 1 else place.seconds
    told = [*_at_one_instant(place, servers, seconds), *_rush(place, servers, seconds), *_cold(place, servers, seconds)]
    say("bursts")
    return told


def _at_one_instant(place: Place, servers: dict[Where, Server], seconds: float) -> list[Row]:
    count = min(MOST_AT_ONCE, place.accounts // 2)
    ends_at = time.time() + AHEAD  # noqa: TID251 - the machine's clock is the product's here
    asyncio.run(_plan_the_end(place, count, ends_at))
    floor = _asked(place, servers, FLOOR, 1000, seconds, count)
    time.sleep(max(0.0, ends_at - time.time() - seconds / 2))  # noqa: TID251 - as above
    window = _asked(place, servers, HOT, 1000, seconds, count)
    time.sleep(max(0.0, ends_at - time.time()) + 0.1)  # noqa: TID251 - as above
    answer = answer_of(servers["product"].port, one(place.keys[0], 0))
    if b'"allowed":false' not in answer:
        raise RuntimeError("a right did not end at its instant")
    return [_row(f"{count:,} rights end at one instant, 1,000/s around it", window, floor)]


async def _plan_the_end(place: Place, count: int, ends_at: float) -> None:
    link = await asyncpg.connect(user=SUPERUSER, database="bench", host=str(place.postgres.socket_folder))
    try:
        at = await link.fetchval("select to_timestamp($1::float8)", ends_at)
        await link.execute(_ENDING, count, at, timeout=600)
    finally:
        await link.close()


def _rush(place: Place, servers: dict[Where, Server], seconds: float) -> list[Row]:
    """A quiet second, then twenty times as many questions from one moment to the next."""
    windows: dict[str, Open] = {}
    for name in (FLOOR, HOT):
        _asked(place, servers, name, QUIET, seconds / 4)
        windows[name] = _asked(place, servers, name, RUSH if seconds > 1 else QUIET, seconds)
    return [_row(f"from {QUIET}/s to {RUSH:,}/s at once", windows[HOT], windows[FLOOR])]


def _cold(place: Place, servers: dict[Where, Server], seconds: float) -> list[Row]:
    """Asked from its first moment on: by the database at first, then by its own snapshot."""
    folder = Path("/dev/shm") / f"bench-{time.monotonic_ns()}"  # a name of its own, gone with its process
    floor = _asked(place, servers, FLOOR, 1000, seconds)
    with place.serving(ours("entitlements"), place.environment(BILLING_SNAPSHOT=str(folder))) as fresh:
        patiently(fresh, one(place.keys[0], 1))
        window = open_loop(fresh.port, asking(of_name(HOT), place.keys), place.accounts, 1000, seconds)
    return [_row("a process that starts, at 1,000/s from its first answer", window, floor)]


def _asked(
    place: Place, servers: dict[Where, Server], name: str, rate: int, seconds: float, among: int | None = None
) -> Open:
    contender: Contender = of_name(name)
    ask = asking(contender, place.keys)
    return open_loop(servers[contender.where].port, ask, among or place.accounts, rate, seconds)


def _row(name: str, window: Open, floor: Open) -> Row:
    figures = {
        "p50 ms": f"{window.at(0.5):.2f}",
        "p99 ms": f"{window.at(0.99):.2f}",
        "most ms": f"{window.millis[-1]:.1f}",
        "the floor's p99": f"{floor.at(0.99):.2f}",
    }
    return Row(name, floor.at(0.99) / window.at(0.99), figures, "≤ 20 ms p99")
