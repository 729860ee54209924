"""Processes of one machine that share a snapshot, and families to ask about."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from billing.kernel.clock import ticks
from billing.kernel.db import Database
from entitlements import service
from entitlements.reader import FactsReader
from entitlements.snapshot.front import Snapshot

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
ADD_ONS = ("messages", "homework", "push_notifications")


class Machine:
    """One machine with processes that share a folder; each has its own database connections and its own snapshot."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.processes: list[tuple[Snapshot, Database]] = []

    def process(self, url: str | None = None) -> tuple[Snapshot, Database]:
        """One more, taking part."""
        database = Database(url or self.url)
        snapshot = Snapshot(FactsReader(database, patience=2), database, str(self.folder))
        snapshot.open()
        self.processes.append((snapshot, database))
        return self.processes[-1]

    async def end(self) -> None:
        for snapshot, database in self.processes:
            await snapshot.close()
            await database.close()


async def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    for _ in range(int(seconds * 200)):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"never {what}")


async def caught_up(snapshot: Snapshot) -> None:
    """Every commit up to now is known there."""
    now = ticks()
    await until(lambda: snapshot.heard > now, "heard the feed")


async def family(database: Database, account: str = "a", pupil: str = "p", until: datetime | None = None) -> None:
    """An account with a pupil that has a right."""
    async with database.begin() as session:
        await service.put_account(session, account)
        await service.put_link(session, account, pupil, "sp1", AT)
        await service.add_grant(
            session, pupil=pupil, source="paid", origin=f"sub_{pupil}", features=ADD_ONS, since=AT, until=until, at=AT
        )
