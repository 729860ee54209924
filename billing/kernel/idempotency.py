"""`Idempotency-Key` on POST: one effect, one answer, for at least 24 hours, also across a crash.

The answer is stored in the transaction of its effect, so there is no moment at which one exists without the other.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base, Database
from billing.kernel.errors import Conflict, Fault, Invalid, Malformed
from billing.kernel.sealing import NotSealedHere, seal, unseal
from billing.kernel.work import Work

KEPT = timedelta(hours=48)
_LONGEST_KEY = 255
_SWEEP = 1000


class IdempotencyRow(Base):
    """The answer given once to (caller, key). `body` is sealed: an answer may hold a link's token (R31)."""

    __tablename__ = "idempotency"

    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes]
    status: Mapped[int]
    body: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(index=True)


class Stored(msgspec.Struct, frozen=True):
    """An answer as it was first given."""

    status: int
    body: bytes
    replayed: bool


async def once(
    session: AsyncSession,
    at: datetime,
    key: str,
    *,
    caller: str,
    request: bytes,
    secret: str,
    status: int,
    effect: Callable[[], Awaitable[Any]],
) -> Stored:
    """Do `effect` and keep its answer (as JSON, with `status`) under (caller, key); a second request with the same
    key, caller and `request` bytes gets the first answer byte for byte.

    Raises Invalid `idempotency_key_reused` for another request, Conflict `idempotency_in_progress` while the first is
    running.
    """
    if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
        fault = Fault("Idempotency-Key", "invalid", f"1 to {_LONGEST_KEY} printable characters")
        raise Malformed("The Idempotency-Key header is not usable.", faults=(fault,))
    digest = hashlib.sha256(request).digest()
    if not await _lock(session, caller, key):
        raise Conflict("The first request with this key is still running.", code="idempotency_in_progress")
    row = await session.get(IdempotencyRow, (caller, key))
    if row is not None and row.created_at > at - KEPT:
        if row.request_hash != digest:
            raise Invalid("This key was used with another request.", code="idempotency_key_reused")
        return Stored(row.status, _unsealed(row, secret), replayed=True)
    body = msgspec.json.encode(await effect())
    fresh = row or IdempotencyRow(caller=caller, key=key)
    fresh.request_hash, fresh.status, fresh.created_at = digest, status, at
    fresh.body = seal(secret, _name(fresh), body)
    session.add(fresh)
    return Stored(status, body, replayed=False)


def _name(row: IdempotencyRow) -> str:
    return f"idempotency:{row.caller}:{row.key}"


def _unsealed(row: IdempotencyRow, secret: str) -> bytes:
    try:
        return unseal(secret, _name(row), row.body)
    except NotSealedHere as fault:
        raise Conflict("The first answer was kept under a secret that is gone; read what is there now.") from fault


def forget_old_keys(database: Database) -> Work:
    """The work of dropping answers older than they need be kept."""

    async def next_due(session: AsyncSession) -> datetime | None:
        oldest = await session.scalar(select(func.min(IdempotencyRow.created_at)))
        return None if oldest is None else oldest + KEPT

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            old = (
                select(IdempotencyRow.caller, IdempotencyRow.key)
                .where(IdempotencyRow.created_at <= at - KEPT)
                .limit(_SWEEP)
                .with_for_update(skip_locked=True)
            )
            keys = (await session.execute(old)).all()
            for caller, key in keys:
                await session.execute(
                    delete(IdempotencyRow).where(IdempotencyRow.caller == caller, IdempotencyRow.key == key)
                )
            return len(keys)

    return Work(name="idempotency.forget", queue="bulk", next_due=next_due, run=run)


async def _lock(session: AsyncSession, caller: str, key: str) -> bool:
    """A transaction-level advisory lock on (caller, key); False when somebody else holds it."""
    digest = hashlib.sha256(f"{caller}\0{key}".encode()).digest()
    number = int.from_bytes(digest[:8], signed=True)
    return bool(await session.scalar(select(func.pg_try_advisory_xact_lock(number))))
