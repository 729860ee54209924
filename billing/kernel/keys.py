"""API keys of the callers: `edk_<live|test>_<id>_<secret>`, shown once, stored hashed, revocable in a second."""

import secrets
from asyncio import Lock, Task, get_running_loop, sleep, timeout
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from billing.kernel import audit
from billing.kernel.clock import Clock
from billing.kernel.db import Base, Database
from billing.kernel.errors import NotFound, Unauthenticated, Unavailable
from billing.kernel.ids import new_id, parse, public
from billing.kernel.line import FAULTS, Line
from billing.kernel.tokens import token_hash
from billing.kernel.turns import Turns

Scope = Literal["entitlements:read", "accounts:write", "commerce:write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
FRESH = timedelta(seconds=1)
AHEAD = FRESH / 2
"""When keys that are asked for all the time are read anew, beside the answers: nobody then waits for it."""
PATIENCE = 2.0
"""Seconds that a caller waits for the database to tell the keys."""
PACE = 0.02
"""Seconds that a key nobody knows waits for its refusal, and the next such keys before they are asked about: guessing
costs the guesser time, and the database fifty small questions a second at most."""
_OURS = "edk_"
_LIVING: Final = """
select hash, id, name, scopes, expires_at from api_key
where revoked_at is null and ($1::bytea[] is null or hash = any ($1))
"""

log = structlog.get_logger(__name__)


class ApiKeyRow(Base):
    """One key; only the SHA-256 of its text is kept."""

    __tablename__ = "api_key"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Caller(msgspec.Struct, frozen=True):
    """Who asks: a key and what it may do."""

    key_id: str
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None

    def may(self, scope: Scope) -> bool:
        """Whether the key holds `scope`; `admin` holds all."""
        return scope in self.scopes or "admin" in self.scopes


def create_key(
    session: AsyncSession,
    at: datetime,
    name: str,
    scopes: tuple[Scope, ...],
    *,
    mode: Literal["live", "test"],
    expires_at: datetime | None = None,
) -> tuple[str, str]:
    """A new key: its public id, and its text, which is told this once only."""
    key = new_id(at)
    text = f"edk_{mode}_{public('key', key).removeprefix('key_')}_{secrets.token_hex(32)}"
    session.add(
        ApiKeyRow(
            id=key,
            name=name,
            hash=token_hash(text),
            scopes=list(scopes),
            created_at=at,
            expires_at=expires_at,
            revoked_at=None,
        )
    )
    audit.record(session, at, "api_key.created", public("key", key), name=name, scopes=list(scopes))
    return public("key", key), text


async def revoke_key(session: AsyncSession, at: datetime, key_id: str) -> None:
    """Cut a key off; every process stops honouring it within a second."""
    row = await session.get(ApiKeyRow, parse("key", key_id), with_for_update=True)
    if row is None:
        raise NotFound("There is no such key.")
    if row.revoked_at is None:
        row.revoked_at = at
        audit.record(session, at, "api_key.revoked", key_id)


async def list_keys(session: AsyncSession) -> list[ApiKeyRow]:
    """All keys, oldest first."""
    return list((await session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.id))).all())


class KeyRing:
    """The living keys, held in memory by their hashes and read again when older than a second.

    A key that is not among them is asked for in the database itself, so a new one works at once; strangers are asked
    about together, and no faster than their pace. With the database down the last known keys go on being honoured: who
    asks for a basic feature must be answered (R9). Then one caller a second waits for another try, the others do not. A
    key revoked in the last second before that is honoured too, until the database is back; its `expires_at` holds.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._clock = clock
        self._callers: dict[bytes, Caller] = {}
        self._read_at: datetime | None = None
        self._failures = 0
        self._line = Line(database.engine.sync_engine, PATIENCE, "billing-keys")
        self._asking = Lock()
        self._reading = Lock()
        self._ahead: Task[None] | None = None
        self._strangers = Turns[Caller](self._look_for, PATIENCE, at_once=1)

    def at_hand(self, authorization: str, at: datetime) -> Caller | None:
        """Who sent this header, where that is known here and was told less than a second ago; None: ask `caller`."""
        if self._read_at is None or not self._is_fresh(at):
            return None
        if self._ahead is None and at >= self._read_at + AHEAD:
            self._ahead = get_running_loop().create_task(self._read(at))
            self._ahead.add_done_callback(self._read_ahead)
        scheme, _, text = authorization.partition(" ")
        caller = self._callers.get(token_hash(text.strip())) if scheme.lower() == "bearer" else None
        return caller if caller is None or caller.expires_at is None or at < caller.expires_at else None

    async def caller(self, authorization: str | None) -> Caller:
        """Who sent this `Authorization` header; Unauthenticated unless it is `Bearer` and a living key."""
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise Unauthenticated("Send an API key as `Authorization: Bearer <key>`.", code="key_missing")
        at = self._clock.now()
        if not self._is_fresh(at):
            await self._read(at)
        text = text.strip()
        known = token_hash(text)
        caller = self._callers.get(known)
        if caller is None and text.startswith(_OURS):
            caller = await self._stranger(known)
        if caller is None or (caller.expires_at is not None and at >= caller.expires_at):
            raise Unauthenticated("This API key is not known, has expired or was revoked.", code="key_unknown")
        return caller

    def _read_ahead(self, task: Task[None]) -> None:
        """A reading ahead has ended. Whatever it met, the next caller that needs the keys meets it too and is told."""
        self._ahead = None
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.warning("keys_not_read", fault=type(fault).__name__)

    async def _read(self, at: datetime) -> None:
        failures, read_at = self._failures, self._read_at
        if failures and self._read_at is not None and self._reading.locked():
            return
        async with self._reading:
            if (self._failures, self._read_at) == (failures, read_at):  # nobody else has tried while we waited
                try:
                    async with timeout(PATIENCE):
                        self._callers = await self._living(None)
                    self._read_at, self._failures = at, 0
                except FAULTS as fault:
                    log.warning("keys_not_read", fault=type(fault).__name__)
                    self._read_at, self._failures = self._read_at and at, failures + 1
        if self._read_at is None:
            raise Unavailable("Keys cannot be read.", code="store_unavailable")

    def _is_fresh(self, at: datetime) -> bool:
        return self._read_at is not None and self._read_at <= at < self._read_at + FRESH

    async def _stranger(self, known: bytes) -> Caller | None:
        told = await self._strangers.ask((known.hex(),))
        if isinstance(told, Exception):
            raise Unavailable("Keys cannot be read.", code="store_unavailable") from told
        return told.get(known.hex())

    async def _look_for(self, asked: Mapping[str, int]) -> dict[str, Caller]:
        found = await self._living([bytes.fromhex(each) for each in asked])
        if len(found) < len(asked):
            await sleep(PACE)
        return {each.hex(): caller for each, caller in found.items()}

    async def _living(self, among: list[bytes] | None) -> dict[bytes, Caller]:
        async with self._asking:
            rows = await self._line.fetch(_LIVING, among)
        return {
            known: Caller(public("key", key), name, frozenset(scopes), end) for known, key, name, scopes, end in rows
        }
