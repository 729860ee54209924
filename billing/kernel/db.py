"""PostgreSQL: the tables' base, and units of work that commit before anybody is told of their success."""

import socket
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData, Text, Uuid, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from billing.kernel.work import Doorbell, SilentDoorbell

_RINGS = "rings"
_REMARKS = "remarks"
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_LIMITS = {
    "application_name": "billing",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "jit": "off",
}

_ALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 4,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 30_000,
}
"""How the system finds within half a minute that a server has vanished without a word: its own limits went with it."""


Listener = Callable[[frozenset[Any]], None]
"""Told of what was committed; never waits and never raises."""


class Base(DeclarativeBase):
    """Base of every table. Instants are timestamptz, text is unbounded with CHECKs, numbers are 64 bit."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration, read once
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        int: BigInteger,
        str: Text,
        dict[str, Any]: JSONB,
    }


class Database:
    """One engine and its units of work."""

    def __init__(
        self, url: str, *, pool_size: int = 10, max_overflow: int = 10, doorbell: Doorbell | None = None
    ) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=2,
            pool_pre_ping=False,
            pool_recycle=1800,
            pool_use_lifo=True,  # few connections, each with its statements prepared, rather than all of them in turn
            hide_parameters=True,
            connect_args={"server_settings": _LIMITS, "timeout": 5},
        )
        event.listen(self.engine.sync_engine, "connect", _watch)
        self.doorbell: Doorbell = doorbell or SilentDoorbell()
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._listeners: dict[str, list[Listener]] = {}

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncSession]:
        """One unit of work: commits at the end, rolls back on any error, then tells listeners what was remarked in it
        and rings for the work it has left due."""
        async with self._sessions() as session, session.begin():
            yield session
        for topic, remarks in session.info.pop(_REMARKS, {}).items():
            for listener in self._listeners.get(topic, ()):
                listener(frozenset(remarks))
        self.doorbell.ring(session.info.pop(_RINGS, ()))

    def when_committed(self, topic: str, listener: Listener) -> None:
        """Tell `listener` what units of work of this process remark on `topic`, right after each has committed."""
        self._listeners.setdefault(topic, []).append(listener)

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


def wake(session: AsyncSession, names: Iterable[str]) -> None:
    """Ring for the named work once this session has committed."""
    session.info.setdefault(_RINGS, set()).update(names)


def remark(session: AsyncSession, topic: str, remarks: Iterable[Any]) -> None:
    """Let listeners in this process know, once this session has committed; nobody hears of what is rolled back."""
    session.info.setdefault(_REMARKS, {}).setdefault(topic, set()).update(remarks)


def _watch(link: Any, _record: Any) -> None:
    """What asyncpg leaves alone: the socket of a fresh connection over the network."""
    door = link.driver_connection._transport.get_extra_info("socket")  # noqa: SLF001 - there is no other way to it
    if door.family != socket.AF_UNIX:
        for (level, option), value in _ALIVE.items():
            door.setsockopt(level, option, value)
