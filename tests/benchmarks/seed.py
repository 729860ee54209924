"""What the contenders look up: accounts with a pupil and a paid pass each, and as many customers of the peer."""

import asyncio
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec

from billing.kernel import keys
from billing.kernel.db import Database
from billing.kernel.ids import new_id, public
from billing.migrations.run import upgrade
from billing.sandbox.postgres import SUPERUSER
from tests.benchmarks.place import Place

KEYS = 4
"""Callers that ask in turn, so that no limit of one key is what is measured."""
ORIGINS = 10_000
SMALL = 10_000
PEER_PYTHON = Path(".venv/bench/bin/python")
PEER = "tests.benchmarks.peers.djstripe_app"

_OURS = (
    "insert into entitlement_account select 'a-' || n from generate_series(0, $1::int - 1) n",
    "insert into entitlement_pupil select 'p-' || n, 'sp-' || n % 5000 from generate_series(0, $1::int - 1) n",
    """insert into entitlement_link (account, pupil, linked_at)
    select 'a-' || n, 'p-' || n, now() from generate_series(0, $1::int - 1) n""",
    """insert into entitlement_grant (id, pupil, source, origin, features, since, until, bound, created_at)
    select gen_random_uuid(), 'p-' || n, 'paid', o.origin, '{messages,desk_view,push_notifications,homework}',
    date_trunc('second', now()) - interval '1 day', date_trunc('second', now()) + interval '200 days', true, now()
    from generate_series(0, $1::int - 1) n join origins o on o.number = n % 10000""",
)
_SUBSCRIPTION = {
    "object": "subscription", "status": "active", "cancel_at": None, "canceled_at": None, "cancel_at_period_end": False,
    "collection_method": "charge_automatically", "currency": "pln", "current_period_start": 1790000000,
    "current_period_end": 2000000000, "trial_end": None, "livemode": False, "latest_invoice": "in_1SXbench",
    "items": {"object": "list", "data": [{"id": "si_1", "object": "subscription_item", "quantity": 1, "price": {
        "id": "price_1SXbench", "object": "price", "currency": "pln", "unit_amount": 4900, "type": "recurring",
        "product": "prod_1SXbench", "recurring": {"interval": "year", "interval_count": 1}}}]},
}  # fmt: skip
_PEERS = (
    """insert into djstripe_customer (djstripe_created, djstripe_updated, stripe_data, id, livemode, created, email)
    select now(), now(), '{"object": "customer", "currency": "pln"}', 'cus_' || n, false, now(), ''
    from generate_series(0, $1::int - 1) n""",
    """insert into djstripe_subscription (djstripe_created, djstripe_updated, stripe_data, id, livemode, created,
    customer_id) select now(), now(), $2::jsonb, 'sub_' || n, false, now(), 'cus_' || n
    from generate_series(0, $1::int - 1) n""",
)  # fmt: skip


async def seed(place: Place) -> tuple[str, ...]:
    """Make the product's database; answers the texts of the callers' keys."""
    await _fill(place, "bench", place.accounts)
    database = Database(place.postgres.url("bench"))
    async with database.begin() as session:
        texts = [
            keys.create_key(session, _now(), f"bench {n}", ("entitlements:read",), mode="test")[1] for n in range(KEYS)
        ]
    await database.close()
    return tuple(texts)


async def seed_small(place: Place) -> None:
    """Make another database of at most 10,000 accounts, with the same callers."""
    await _fill(place, "small", min(place.accounts, SMALL))
    big, small = await _open(place, "bench"), await _open(place, "small")
    try:
        await small.copy_records_to_table("api_key", records=await big.fetch("select * from api_key"))
    finally:
        await big.close()
        await small.close()


async def _fill(place: Place, name: str, accounts: int) -> None:
    place.postgres.make_database(name)
    await upgrade(place.postgres.url(name))
    link = await _open(place, name)
    try:
        await link.execute("set session_replication_role = replica")  # each row is right: nothing need be looked up
        await link.execute("create temporary table origins (number int primary key, origin text)")
        known = [(number, public("sub", new_id(_now() - timedelta(seconds=number)))) for number in range(ORIGINS)]
        await link.copy_records_to_table("origins", records=known)
        for statement in _OURS:
            await link.execute(statement, accounts, timeout=3600)
        await link.execute("vacuum analyze", timeout=3600)
        await link.execute("checkpoint", timeout=3600)  # or whoever is measured first writes it out
    finally:
        await link.close()


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the machine's clock is the benchmark's


def peer_environment(place: Place) -> dict[str, str]:
    """Where the peer finds its database."""
    return {**os.environ, "BENCH_HOST": str(place.postgres.socket_folder), "BENCH_DATABASE": "peer"}


def seed_peer(place: Place) -> None:
    """Make dj-stripe's database from its own models, and as many customers, each with one active subscription."""
    place.postgres.make_database("peer")
    subprocess.run(
        [PEER_PYTHON, "-m", PEER, "migrate", "--run-syncdb", "-v0"],
        env=peer_environment(place),
        check=True,
        capture_output=True,
    )
    asyncio.run(_fill_peer(place))


async def _fill_peer(place: Place) -> None:
    link = await _open(place, "peer")
    try:
        await link.execute("set session_replication_role = replica")
        await link.execute(_PEERS[0], place.accounts, timeout=3600)
        await link.execute(_PEERS[1], place.accounts, msgspec.json.encode(_SUBSCRIPTION).decode(), timeout=3600)
        await link.execute("vacuum analyze", timeout=3600)
        await link.execute("checkpoint", timeout=3600)  # or whoever is measured first writes it out
    finally:
        await link.close()


async def _open(place: Place, database: str) -> asyncpg.Connection:
    return await asyncpg.connect(user=SUPERUSER, database=database, host=str(place.postgres.socket_folder))
