"""How soon the product's process answers what another process has committed; and what the change log costs a writer."""

import asyncio
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager

from billing.kernel.db import Database
from entitlements import service
from entitlements.waking import Waker
from tests.benchmarks.answering import say
from tests.benchmarks.contenders import one
from tests.benchmarks.place import Place, Row, Server
from tests.benchmarks.writing import WRITERS, write

RATE = 1000
LONGEST = 5.0
"""Seconds after which a commit is given up as never seen."""


async def rows(place: Place, server: Server) -> list[Row]:
    """Idle, then beside a thousand writes a second; then the writers' own rate, bare and logged in turn."""
    times = 200 if place.seconds >= 1 else 5
    idle = await _seen(place, server, times)
    async with _others_writing(place, times * 0.06 + 2):
        await asyncio.sleep(min(1.0, place.seconds))
        busy = await _seen(place, server, times)
    say("freshness")
    return [_row("idle", idle), _row(f"beside {RATE:,} writes a second", busy), await _writers(place)]


async def _seen(place: Place, server: Server, times: int) -> list[float]:
    """Milliseconds from the return of each commit to the first answer that tells it, over one connection."""
    database = Database(place.postgres.url("bench"), pool_size=2)
    Waker(database)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    found: list[float] = []
    try:
        for turn in range(times):
            number = (turn * 7919) % place.accounts
            request = one(place.keys[0], number)
            is_pending = await _is_pending(reader, writer, request)
            async with database.begin() as session:
                await service.set_notice_pending(session, f"a-{number}", (f"p-{number}",), pending=not is_pending)
            committed = time.perf_counter()
            while await _is_pending(reader, writer, request) is is_pending:
                if time.perf_counter() > committed + LONGEST:
                    raise RuntimeError(f"a commit was not seen within {LONGEST:.0f} s")
                await asyncio.sleep(0)
            found.append((time.perf_counter() - committed) * 1e3)
            await asyncio.sleep(0.013)  # apart from the feed's own pace
    finally:
        writer.close()
        await database.close()
    return found


async def _is_pending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bool:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(body.decode())
    return b'"notice_pending":true' in body


@asynccontextmanager
async def _others_writing(place: Place, seconds: float):
    argv = ["-m", "tests.benchmarks.writing", str(place.postgres.socket_folder), str(place.accounts), str(seconds),
            str(RATE), "logged"]  # fmt: skip
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=PIPE)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _writers(place: Place) -> Row:
    """Flat out, the bare update and the logged one in turn."""
    host, seconds = str(place.postgres.socket_folder), place.seconds
    ratios: list[float] = []
    rates: list[tuple[float, float]] = []
    for _ in range(place.rounds):
        bare = await write(host, place.accounts, seconds, 0, logged=False)
        logged = await write(host, place.accounts, seconds, 0, logged=True)
        ratios.append(logged / bare)
        rates.append((bare, logged))
    bare, logged = (statistics.median(pair[number] for pair in rates) for number in (0, 1))
    figures = {"commits/s": f"{logged:,.0f} of {bare:,.0f}"}
    return Row(f"{WRITERS} writers with the change log, to the bare update", statistics.median(ratios), figures, "0.5")


def _row(name: str, millis: list[float]) -> Row:
    millis = sorted(millis)
    figures = {
        "p50 ms": f"{statistics.median(millis):.1f}",
        "p99 ms": f"{millis[int(0.99 * (len(millis) - 1))]:.1f}",
        "most ms": f"{millis[-1]:.1f}",
        "commits": str(len(millis)),
    }
    return Row(name, None, figures, "≤ 20 ms p99, ≤ 1 s")
