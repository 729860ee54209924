"""Waking those who follow the change log: one NOTIFY for the commits of a few milliseconds.

The process that committed says so itself, over a connection of its own and never inside the transaction, where each
commit would queue behind one lock of the whole server. A lost wake-up loses nothing: followers look anyway.
"""

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy import event

from billing.kernel.db import Database
from billing.kernel.line import FAULTS, Line
from entitlements.changes import TOPIC

CHANNEL: Final = "entitlement_change"
"""What followers LISTEN to. The message is empty: the log itself tells what there is."""

FOLLOWER: Final = "billing-feed"
"""The name under which followers are connected: while one is, nothing goes from the log before its time."""

PAUSE: Final = 0.005
"""Seconds between two wake-ups at least."""

_PATIENCE: Final = 1.0

log = structlog.get_logger(__name__)


class Waker:
    """Wakes followers after this process's commits, from now until the database is closed."""

    def __init__(self, database: Database) -> None:
        engine = database.engine.sync_engine
        self._line = Line(engine, _PATIENCE)
        self._is_wanted = False
        self._is_lost = False
        self._calling: asyncio.Task[None] | None = None
        database.when_committed(TOPIC, self.committed)

        def close(_: Any) -> None:
            if self._calling is not None:
                self._calling.cancel()

        event.listen(engine, "engine_disposed", close)

    def committed(self, _: frozenset[Any]) -> None:
        """Something was: wake them, at once or with the next wake-up."""
        self._is_wanted = True
        if self._calling is None or self._calling.done():
            self._calling = asyncio.get_running_loop().create_task(self._call())

    async def _call(self) -> None:
        """The first wake-up goes out at once; what is committed meanwhile shares the next one."""
        while self._is_wanted:
            self._is_wanted = False
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._line.fetch("select pg_notify($1, '')", CHANNEL)
                self._is_lost = False
            except FAULTS as fault:
                if not self._is_lost:  # of an outage one line
                    self._is_lost = True
                    log.warning("wake_up_lost", fault=type(fault).__name__)
            await asyncio.sleep(PAUSE)
