"""API keys: shown once, stored hashed, cut off within a second, honoured while the store is down."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from billing.kernel.audit import AuditRow
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import NotFound, Unauthenticated, Unavailable
from billing.kernel.keys import FRESH, SCOPES, ApiKeyRow, KeyRing, Scope, create_key, list_keys, revoke_key

NOBODY_LISTENS = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


@pytest.fixture
def ring(database: Database, clock: FixedClock) -> KeyRing:
    return KeyRing(database, clock)


@pytest.fixture
async def dead() -> AsyncIterator[Database]:
    """A database that does not answer."""
    made = Database(NOBODY_LISTENS)
    yield made
    await made.close()


async def make(
    database: Database, at: datetime, *scopes: Scope, expires_at: datetime | None = None
) -> tuple[str, str]:  # fmt: skip
    async with database.begin() as session:
        return create_key(session, at, "app", scopes or ("entitlements:read",), mode="test", expires_at=expires_at)


async def test_a_key_opens_what_its_scopes_say(database: Database, ring: KeyRing, at: datetime) -> None:
    key_id, key = await make(database, at, "entitlements:read", "accounts:write")
    caller = await ring.caller(f"Bearer {key}")
    assert (caller.key_id, caller.name) == (key_id, "app")
    assert [scope for scope in SCOPES if caller.may(scope)] == ["entitlements:read", "accounts:write"]


async def test_an_admin_key_opens_everything(database: Database, ring: KeyRing, at: datetime) -> None:
    _, key = await make(database, at, "admin")
    caller = await ring.caller(f"bearer {key}")
    assert all(caller.may(scope) for scope in SCOPES)


@pytest.mark.parametrize(
    ("header", "code"),
    [(None, "key_missing"), ("", "key_missing"), ("Bearer", "key_missing"), ("Bearer ", "key_missing"),
     ("Basic dXNlcjpwYXNz", "key_missing"), ("Bearer edk_test_0_0", "key_unknown"), ("Bearer \ud800", "key_unknown")],
)  # fmt: skip
async def test_a_missing_or_strange_key_opens_nothing(ring: KeyRing, header: str | None, code: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await ring.caller(header)
    assert caught.value.code == code


async def test_a_revoked_key_is_refused_within_a_second(
    database: Database, ring: KeyRing, clock: FixedClock, at: datetime
) -> None:
    key_id, key = await make(database, at)
    await ring.caller(f"Bearer {key}")
    async with database.begin() as session:
        await revoke_key(session, at, key_id)
    clock.move(at + timedelta(milliseconds=999))
    await ring.caller(f"Bearer {key}")
    clock.move(at + FRESH)
    assert timedelta(seconds=1) >= FRESH
    with pytest.raises(Unauthenticated):
        await ring.caller(f"Bearer {key}")


async def test_a_key_ends_at_its_instant_without_being_read_again(
    database: Database, ring: KeyRing, clock: FixedClock, at: datetime
) -> None:
    end = at + timedelta(milliseconds=500)
    _, key = await make(database, at, expires_at=end)
    clock.move(end - timedelta(microseconds=1))
    await ring.caller(f"Bearer {key}")
    clock.move(end)
    with pytest.raises(Unauthenticated):
        await ring.caller(f"Bearer {key}")


async def test_a_new_key_is_known_within_a_second(
    database: Database, ring: KeyRing, clock: FixedClock, at: datetime
) -> None:
    with pytest.raises(Unauthenticated):
        await ring.caller("Bearer nothing")
    _, key = await make(database, at)
    clock.move(at + FRESH)
    await ring.caller(f"Bearer {key}")


async def test_with_the_store_down_the_last_known_keys_are_honoured(
    database: Database, clock: FixedClock, at: datetime
) -> None:
    """R9, I06: who asks for a basic feature must be answered."""
    _, key = await make(database, at)
    ring = KeyRing(database, clock)
    await ring.caller(f"Bearer {key}")
    async with database.begin() as session:
        await session.execute(text("alter table api_key rename to api_key_gone"))
    clock.move(at + timedelta(hours=1))
    assert (await ring.caller(f"Bearer {key}")).name == "app"
    async with database.begin() as session:
        await session.execute(text("alter table api_key_gone rename to api_key"))


async def test_keys_are_read_while_every_connection_of_the_pool_is_lent_out_f16(
    database: Database, database_url: str, clock: FixedClock, at: datetime
) -> None:
    _, key = await make(database, at)
    small = Database(database_url, pool_size=1, max_overflow=0)
    try:
        async with small.begin() as session:
            await session.execute(text("select 1"))
            assert (await KeyRing(small, clock).caller(f"Bearer {key}")).name == "app"
    finally:
        await small.close()


async def test_a_process_that_never_read_keys_says_unavailable_not_forbidden(dead: Database, clock: FixedClock) -> None:
    with pytest.raises(Unavailable):
        await KeyRing(dead, clock).caller("Bearer edk_test_0_0")


async def test_a_hundred_callers_at_once_read_the_keys_once(
    database: Database, clock: FixedClock, at: datetime
) -> None:
    _, key = await make(database, at)
    ring = KeyRing(database, clock)
    callers = await asyncio.gather(*(ring.caller(f"Bearer {key}") for _ in range(100)))
    assert len({caller.key_id for caller in callers}) == 1


async def test_the_text_of_a_key_is_kept_nowhere(database: Database, at: datetime) -> None:
    """S-numbers of secrets at rest: only the SHA-256 is stored, and the audit row does not say it either."""
    key_id, key = await make(database, at)
    secret = key.rpartition("_")[2]
    async with database.begin() as session:
        row = (await session.scalars(select(ApiKeyRow))).one()
        acts = (await session.scalars(select(AuditRow))).all()
    assert len(secret) == 64
    assert all(secret not in str(vars(kept)) for kept in (row, *acts))
    assert secret.encode() not in row.hash
    assert [(act.action, act.subject) for act in acts] == [("api_key.created", key_id)]
    assert key.startswith("edk_test_")


async def test_revoking_twice_is_noted_once_and_an_unknown_key_is_told(database: Database, at: datetime) -> None:
    key_id, _ = await make(database, at)
    for _ in range(2):
        async with database.begin() as session:
            await revoke_key(session, at, key_id)
    async with database.begin() as session:
        acts = (await session.scalars(select(AuditRow).where(AuditRow.action == "api_key.revoked"))).all()
        assert [row.revoked_at for row in await list_keys(session)] == [at]
    assert len(acts) == 1
    with pytest.raises(NotFound):
        async with database.begin() as session:
            await revoke_key(session, at, "key_" + "0" * 26)
