"""Taking in Stripe's events, each on disk before it is answered: beside keeping nothing, and the tutorial's way."""

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count

import asyncpg
import msgspec

from billing.kernel.clock import SystemClock
from billing.migrations.run import upgrade
from billing.payments.facts import API_VERSION
from billing.sandbox.postgres import SUPERUSER
from tests.benchmarks.load import Open, closed_loop, open_loop
from tests.benchmarks.place import Place, Row, Server, cpu_seconds, granian, ours, used
from webhooks.signature import sign

DATABASE = "bench_intake"
SECRET = "whsec_bench"
CONNECTIONS = 32
BURST, BURST_SECONDS = 1000, 60
"""Events a second of a burst, and how long it lasts."""
OURS, FLOOR, TUTORIAL = "ours: proved, kept, answered", "floor: proved, nothing kept", "construct_event and ORM"
_SERVERS = {
    FLOOR: granian("tests.benchmarks.intake_apps:floor"),
    OURS: ours(),
    TUTORIAL: granian("tests.benchmarks.intake_apps:tutorial"),
}
_ITEM = {
    "id": "si_1", "object": "subscription_item", "created": 1788249600, "current_period_end": 1790841600,
    "current_period_start": 1788249600, "metadata": {}, "quantity": 1, "subscription": "sub_1",
    "price": {"id": "price_1", "object": "price", "active": True, "currency": "pln", "unit_amount": 4499},
}  # fmt: skip
_OBJECT = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "livemode": False,
           "items": {"object": "list", "data": [_ITEM] * 6, "has_more": False}, "metadata": {}}  # fmt: skip


class Window(msgspec.Struct, frozen=True):
    """One stretch of load: events, seconds, CPU of the server and of the database, and waits for the disk."""

    events: int
    seconds: float
    server: float
    database: float
    syncs: int


async def rows(place: Place) -> list[Row]:
    """Server CPU an event beside the floor's; the database's, and fsyncs, apart."""
    place.postgres.make_database(DATABASE)
    await upgrade(place.postgres.url(DATABASE))
    given = place.environment(DATABASE, BILLING_STRIPE_WEBHOOK_SECRETS=SECRET, BILLING_LOG_LEVEL="error")
    found: dict[str, list[Window]] = {}
    link = await asyncpg.connect(user=SUPERUSER, database=DATABASE, host=str(place.postgres.socket_folder))
    try:
        with ExitStack() as stack:
            servers: dict[str, Server] = {
                name: stack.enter_context(place.serving(argv, given)) for name, argv in _SERVERS.items()
            }
            ask = _asking()
            for name, server in servers.items():
                closed_loop(server.port, ask, 1, 0.3, CONNECTIONS)
                found[name] = []
            for _ in range(place.rounds):
                for name, server in servers.items():
                    found[name].append(await _window(place, server, ask, link))
            burst = open_loop(servers[OURS].port, ask, 1, BURST, BURST_SECONDS * min(1.0, place.seconds))
        kept = int(await link.fetchval("select count(*) from stripe_event") or 0)
        if kept < sum(window.events for window in found[OURS]) + burst.asked:
            raise RuntimeError("an event that was answered is not there")
    finally:
        await link.close()
    return [*_told(found), _at_once(burst)]


def _asking() -> Callable[[int], bytes]:
    numbers = count()

    def ask(_: int) -> bytes:
        event = {
            "id": f"evt_{next(numbers)}", "object": "event", "api_version": API_VERSION, "created": 1788249600,
            "data": {"object": _OBJECT}, "livemode": False, "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None}, "type": "customer.subscription.updated",
        }  # fmt: skip
        body = msgspec.json.encode(event)
        signature = sign(body, SECRET, int(SystemClock().now().timestamp()))
        head = b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return head + b"Stripe-Signature: %b\r\nContent-Length: %d\r\n\r\n" % (signature, len(body)) + body

    return ask


async def _window(place: Place, server: Server, ask: Callable[[int], bytes], link: asyncpg.Connection) -> Window:
    syncs = await _syncs(link)
    cpu, database = cpu_seconds(server.pid), cpu_seconds(place.postgres.pid)
    done = closed_loop(server.port, ask, 1, place.seconds, CONNECTIONS)
    return Window(
        done.requests,
        done.seconds,
        used(cpu, cpu_seconds(server.pid)),
        used(database, cpu_seconds(place.postgres.pid)),
        await _syncs(link) - syncs,
    )


async def _syncs(link: asyncpg.Connection) -> int:
    """Waits of commits for the disk, as far as the backends have told."""
    await link.execute("select pg_sleep(1.1)")
    return int(await link.fetchval("select wal_sync from pg_stat_wal") or 0)


def _told(found: dict[str, list[Window]]) -> list[Row]:
    def cpu(name: str) -> float:
        return statistics.median(window.server / window.events for window in found[name])

    told: list[Row] = []
    for name, windows in found.items():
        events = sum(window.events for window in windows)
        figures = {
            "server CPU µs": f"{cpu(name) * 1e6:.0f}",
            "database CPU µs": f"{sum(window.database for window in windows) / events * 1e6:.0f}",
            "events a second": f"{statistics.median(window.events / window.seconds for window in windows):,.0f}",
            "fsyncs an event": f"{sum(window.syncs for window in windows) / events:.2f}",
        }
        told.append(Row(name, cpu(FLOOR) / cpu(name), figures, "0.6" if name == OURS else ""))
    told.append(Row("ours against construct_event and ORM", cpu(TUTORIAL) / cpu(OURS), {}, "12"))
    return told


def _at_once(burst: Open) -> Row:
    """A burst, each event's milliseconds counted from when it was due."""
    figures = {
        "p50 ms": f"{burst.at(0.5):.1f}",
        "p99 ms": f"{burst.at(0.99):.1f}",
        "most ms": f"{burst.millis[-1]:.1f}",
    }
    return Row(f"{OURS}, {burst.asked:,} at {BURST:,}/s", None, figures, "≤ 250 ms p99")
