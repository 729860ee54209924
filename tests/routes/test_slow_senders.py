"""Who sends slowly, or too much of a head, is hung up on, and holds up nobody (F52, F53)."""

import asyncio
import contextlib
from time import monotonic

import anyio
import httpx2
import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.door import SLOWEST
from billing.kernel.serving import LONGEST_HEAD, SLOWEST_HEAD
from tests.routes.house import make_keys
from tests.serving import served

IDLE = 500
"""Connections on which nothing is ever said."""
LATER = 5.0
"""Seconds that a busy machine may take longer."""
WITH_BODY = {
    "PUT /v1/accounts/a1": b'"body_incomplete"',
    "POST /v1/entitlements/check": b'"body_incomplete"',
    "POST /webhooks/stripe": b'"body_incomplete"',
    "POST /activate/x/order": b"</html>",
}
"""Routes that take a body, each with what is in its answer: rooms answer in their own shape."""


async def dripped(port: int, begun: bytes, drop: bytes) -> tuple[bytes, float]:
    """What is answered to somebody who sends so much, and then a drop a second; and after how many seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    since = monotonic()
    writer.write(begun)
    heard = asyncio.create_task(reader.read(-1))
    with contextlib.suppress(OSError):
        while not heard.done() and monotonic() - since < SLOWEST + 3 * LATER:
            writer.write(drop)
            await writer.drain()
            await asyncio.wait({heard}, timeout=1)
    writer.close()
    took = monotonic() - since
    with contextlib.suppress(OSError):
        return await heard, took
    return b"", took


def request(first: str, key: str, *more: str) -> bytes:
    lines = (f"{first} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", "Content-Type: application/json", *more)
    return "\r\n".join(lines).encode() + b"\r\n"


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_f52_slow_heads_and_bodies_are_hung_up_on_and_hold_up_nobody(
    database: Database, database_url: str, clock: FixedClock
) -> None:
    key = (await make_keys(database, clock))["admin"][1]
    with served(database_url, WEB_WORKERS="1") as (port, _):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(IDLE)]
        others = asyncio.create_task(asked_all_the_time(port))
        head = dripped(port, request("GET /livez", key), b"X-More: 1\r\n")
        bodies = [dripped(port, request(first, key, "Content-Length: 5000", ""), b" ") for first in WITH_BODY]
        (answer, took), *slow = await asyncio.gather(head, *bodies)
        others.cancel()
        for _, writer in idle:
            writer.close()
    assert took < SLOWEST_HEAD / 1000 + LATER
    assert not answer.startswith(b"HTTP/1.1 200")
    for (first, words), (answer, took) in zip(WITH_BODY.items(), slow, strict=True):
        assert SLOWEST - 1 < took < SLOWEST + LATER, first
        assert answer.startswith(b"HTTP/1.1 400"), first
        assert words in answer, first
    with contextlib.suppress(asyncio.CancelledError):
        assert await others


async def asked_all_the_time(port: int) -> bool:
    """Somebody else, who is answered each time."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=LATER) as client:
        while True:
            assert (await client.get("/livez")).status_code == 200
            await anyio.sleep(0.05)


async def test_f53_a_head_that_is_too_long_is_refused(database: Database, database_url: str) -> None:
    del database
    with served(database_url, WEB_WORKERS="1") as (port, _):
        answers = [
            (await dripped(port, request("GET /livez", "k", "Connection: close", f"X-More: {'a' * size}", ""), b""))[0]
            for size in (1000, LONGEST_HEAD * 2)
        ]
    assert [answer[9:12] for answer in answers] == [b"200", b"431"]
