"""``make bench``: what an entitlement answer costs beside the floor, in one interleaved run. Ratios first.

Contenders: the floor (constant bytes by the same framework and server), and the product's typed route, which reads
PostgreSQL for each answer. Loopback only; a few seconds a window; ends by itself.
"""

import asyncio
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from billing.kernel import keys
from billing.kernel.db import Database
from billing.migrations.run import upgrade
from billing.openapi import PLACE
from billing.sandbox.postgres import SUPERUSER, EmbeddedPostgres
from billing.sandbox.valkey import EmbeddedValkey
from tests.benchmarks.load import CONNECTIONS, Window, hammer

ACCOUNTS = int(os.environ.get("BENCH_ACCOUNTS", "100000"))
ROUNDS = 5
SECONDS = 2.0


async def _seed(url: str, server: EmbeddedPostgres) -> str:
    """Accounts with a pupil and a paid pass each; answers an API key."""
    await upgrade(url)
    link = await asyncpg.connect(user=SUPERUSER, database="bench", host=str(server.socket_folder))
    try:
        for statement in (
            "insert into entitlement_account select 'a-' || n from generate_series(0, $1 - 1) n",
            "insert into entitlement_pupil select 'p-' || n, 'sp-5' from generate_series(0, $1 - 1) n",
            """insert into entitlement_link (account, pupil, linked_at)
            select 'a-' || n, 'p-' || n, now() from generate_series(0, $1 - 1) n""",
            """insert into entitlement_grant (id, pupil, source, origin, features, since, until, bound, created_at)
            select gen_random_uuid(), 'p-' || n, 'paid', 'sub_' || n, '{messages,desk_view}', now() - interval '1 day',
            now() + interval '200 days', true, now() from generate_series(0, $1 - 1) n""",
        ):
            await link.execute(statement, ACCOUNTS)
        await link.execute("analyze")
    finally:
        await link.close()
    database = Database(url)
    async with database.begin() as session:
        _, text = keys.create_key(session, datetime.now(UTC), "bench", ("entitlements:read",), mode="test")  # noqa: TID251
    await database.close()
    return text


def _serve(stack: ExitStack, target: list[str], environment: dict[str, str]) -> tuple[int, int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    argv = [sys.executable, "-m", "granian", *target, "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--interface", "asgi", "--no-ws", "--log-level", "error"]  # fmt: skip
    process = subprocess.Popen(argv, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port, process.pid
        time.sleep(0.1)
    raise RuntimeError("the server did not start")


def _row(name: str, windows: list[Window], floor: list[Window]) -> str:
    cpu = statistics.median(window.micros for window in windows)
    base = statistics.median(window.micros for window in floor)
    rate = statistics.median(window.rate for window in windows)
    spread = max(window.rate for window in windows) / min(window.rate for window in windows)
    return f"| {name} | {base / cpu:.2f} | {cpu:.0f} | {rate:,.0f} | {spread:.2f} |"


def main() -> None:
    """Run and print the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        server.make_database("bench")
        key = asyncio.run(_seed(server.url("bench"), server))
        told = {**PLACE, "BILLING_DATABASE_URL": server.url("bench"), "BILLING_BROKER_URL": valkey.url()}
        contenders = {
            "floor: constant bytes": _serve(stack, ["tests.benchmarks.floor:app"], {}),
            "typed route, PostgreSQL each time": _serve(stack, ["billing.app:create", "--factory"], told),
        }
        found: dict[str, list[Window]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, (port, pid) in contenders.items():
                found[name].append(asyncio.run(hammer(port, pid, key, ACCOUNTS, SECONDS)))
    floor = found["floor: constant bytes"]
    lines = [
        (
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {ACCOUNTS:,} accounts, "
            f"{CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS:.0f} s, medians"
        ),
        "",
        "| contender | CPU ratio to the floor | server CPU µs | req/s | fastest/slowest round |",
        "|---|---|---|---|---|",
        *(_row(name, windows, floor) for name, windows in found.items()),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
