"""Whatever thousands of strangers send, a web process is left as it was: it keeps no file, line or memory (S77)."""

import contextlib
import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.sandbox.valkey import EmbeddedValkey
from tests.living import descendants
from tests.routes.house import make_keys
from tests.serving import served
from tests.waiting import until

ROUNDS, MANY = 7, 3000
"""How often so many requests are sent."""
MOST = 3 << 19
"""Bytes that a process may have grown by since the middle of it all: two hundred for each request would be more."""
POOL = 5
"""Connections to the database, opened when so many are first wanted at once: a leak opens hundreds."""
LENT = """select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
and state like 'idle in transaction%'"""
PATHS = (
    "/v1/accounts/{}", "/v1/accounts/{}/pupils/{}", "/v1/accounts/{}/entitlements/{}?channel=mobile&pupil={}",
    "/v1/accounts/{}/entitlements?channel=web", "/v1/entitlements/check", "/v1/accounts/{}/activation-links",
    "/activate/{}", "/activate/{}/order", "/orders/{}", "/confirm/{}", "/webhooks/stripe", "/finance/", "/{}",
    "/ofrep/v1/evaluate/flags/{}", "/v1/changes?after={}", "/v1/webhook-endpoints",
    "/finance/login/done?code={}&state={}",
)  # fmt: skip
BODIES = (
    b"", b"{}", b"[]", b"null", b'{"email":"%s@example.pl","kind":"guardian","age_band":"adult"}', b'{"%s":1}',
    b'{"channel":"mobile","checks":[{"account":"%s","feature":"messages"}]}', b"\xff%s", b'{"pupils":["%s"]}', b"[[[[",
    b'{"url":"http://127.0.0.1/%s","events":["trial.started"]}', b"withdraw=1&name=%s",
)  # fmt: skip


def requests(chance: random.Random, key: str) -> Iterator[bytes]:
    """So many that make no sense, or hardly any; some are cut off in the middle."""
    for _ in range(MANY):
        word = "".join(chance.choices("abcXYZ019-._~%/ł\x00 ", k=chance.randint(1, 40)))
        path = chance.choice(PATHS).replace("{}", word.replace(" ", "+"))
        body = chance.choice(BODIES).replace(b"%s", word.encode())
        kind = chance.choice(("application/json", "text/plain", "application/x-www-form-urlencoded"))
        lines = (
            f"{chance.choice(('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'BREW'))} {path} HTTP/1.1",
            f"Host: {chance.choice(('x', word.strip() or 'x', 'a.example'))}",
            f"Authorization: Bearer {chance.choice((key, key, word))}",
            f"Content-Type: {kind}",
            f"Idempotency-Key: {chance.randrange(10**9)}",
            f"X-Request-Id: {word}",
            "Connection: close",
            f"Content-Length: {chance.choice((len(body), len(body), len(body) + 7))}",
        )
        whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        yield whole if chance.random() < 0.9 else whole[: chance.randrange(len(whole))]


def send(port: int, request: bytes) -> None:
    """Send it, hear some of the answer, and hang up."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        wire.sendall(request)
        wire.shutdown(socket.SHUT_WR)
        wire.recv(65536)


def memory(pid: int) -> int:
    """Bytes of it that are in memory and its own."""
    told = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"RssAnon:\s+(\d+) kB", told)
    assert found
    return int(found[1]) * 1024


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.slow
async def test_s77_a_process_is_left_as_it_was_by_thousands_of_senseless_requests(
    database: Database, database_url: str, clock: FixedClock, valkey: EmbeddedValkey
) -> None:
    key = (await make_keys(database, clock))["admin"][1]
    chance = random.Random(77)
    with served(database_url, BROKER_URL=valkey.url(), POOL_SIZE=str(POOL), WEB_WORKERS="1") as (port, process):
        (worker,) = descendants(process.pid)
        found: list[tuple[int, int]] = []
        for _ in range(ROUNDS):
            for request in requests(chance, key):
                send(port, request)
            found.append((files(worker), memory(worker)))
        opened, grown = found[ROUNDS // 2]  # by then, all has been begun that is begun but once
        until(lambda: files(worker) <= opened + POOL, f"files are kept open: {found}")
        assert memory(worker) - grown < MOST, found
        async with database.begin() as session:
            assert await session.scalar(text(LENT)) == 0
