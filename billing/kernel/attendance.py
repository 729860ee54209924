"""Knowing that nobody is at work: the clock may move on only when no worker is in the middle of something.

Each piece of work runs under a shared advisory lock of the database; who wants to know that all have finished asks for
the exclusive one and waits. Only where a clock can be moved; in production time does not wait.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from billing.kernel.work import Work

_KEY = 7_310_002


class Attendance:
    """Connections of their own, that may stay idle as long as a piece of work takes."""

    def __init__(self, url: str) -> None:
        limits = {"idle_in_transaction_session_timeout": "0", "application_name": "billing-attendance"}
        self._engine = create_async_engine(url, pool_size=4, max_overflow=20, connect_args={"server_settings": limits})

    def attended(self, work: Work) -> Work:
        """The same work, seen by whoever waits for all to finish."""

        async def run(at: datetime) -> int:
            async with self._engine.begin() as link:
                await link.execute(text("select pg_advisory_xact_lock_shared(:key)"), {"key": _KEY})
                return await work.run(at)

        return Work(name=work.name, queue=work.queue, next_due=work.next_due, run=run)

    async def all_finished(self) -> None:
        """Return once nothing that had begun is still running."""
        async with self._engine.begin() as link:
            await link.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _KEY})

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()
