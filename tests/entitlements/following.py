"""What the tests of the change log and its news share."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from entitlements import numbering, service
from entitlements.changes import Whom

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


async def give(session: AsyncSession, at: datetime, pupil: str, **more: Any) -> None:
    """A right over two days from now on, unless `more` says otherwise; its origin is named by its source."""
    facts: dict[str, Any] = {"source": "paid", "features": ["messages"], "since": at, "until": at + 2 * DAY} | more
    await service.add_grant(session, pupil=pupil, at=at, **{"origin": facts["source"]} | facts)


async def family(database: Database, at: datetime, *links: str) -> None:
    """Accounts and pupils, linked: `a1 p1`."""
    async with database.begin() as session:
        for link in links:
            account, pupil = link.split()
            await service.put_account(session, account)
            await service.put_link(session, account, pupil, "sp5", at)


async def log_of(database: Database) -> list[tuple[str, Whom]]:
    """The change log: why, and whose."""
    async with database.begin() as session:
        rows = await session.execute(text("select cause, account, pupil, school from entitlement_change order by id"))
        return [(cause, Whom(*whom)) for cause, *whom in rows]


async def number(database: Database, at: datetime, most: int = numbering.MOST) -> int:
    """Number until nothing is left; answers how much was looked at."""
    total = 0
    while True:
        async with database.begin() as session:
            done = await numbering.number(session, at, most)
        total += done
        if not done:
            return total


async def news_of(database: Database) -> list[tuple[int, str, str | None, str]]:
    """All news: number, account, pupil, cause."""
    async with database.begin() as session:
        query = text("select seq, account, pupil, cause from entitlement_news order by seq")
        return [(row.seq, row.account, row.pupil, row.cause) for row in await session.execute(query)]


async def until_somebody_waits(session: AsyncSession) -> None:
    """Return once somebody waits for a lock."""
    for _ in range(1000):
        if await session.scalar(text("select count(*) from pg_locks where not granted")):
            return
        await asyncio.sleep(0.01)
    raise AssertionError


class GivenUp(Exception):
    """Whoever was writing thinks better of it."""


async def give_up() -> None:
    """Break off what is being written."""
    raise GivenUp


async def leave(database: Database, at: datetime) -> None:
    """Two families come; one pupil of each goes, and one account."""
    await family(database, at, "anna p1", "jan p2")
    await number(database, at)
    async with database.begin() as session:
        await service.drop_link(session, "anna", "p1")
        await service.drop_link(session, "jan", "p2")
        await service.remove_account(session, "anna")
    await number(database, at)


async def mark(database: Database, account: str) -> None:
    """A change that names an account."""
    async with database.begin() as session:
        await service.put_account(session, account)
