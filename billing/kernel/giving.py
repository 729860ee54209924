"""What an application gives to its handlers by name."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

from litestar.di import Provide
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.clock import Clock
from billing.kernel.db import Database


def provided(database: Database, clock: Clock, **given: Any) -> dict[str, Provide]:
    """A unit of work and the request's instant, made for each request; and what stays the same for all of them."""

    async def session() -> AsyncGenerator[AsyncSession]:
        async with database.begin() as unit:
            yield unit

    def at() -> datetime:
        return clock.now()

    constants = {"database": database, "clock": clock, **given}
    return {
        "session": Provide(session),
        "at": Provide(at, sync_to_thread=False),
        **{name: Provide(_constant(value), sync_to_thread=False, use_cache=True) for name, value in constants.items()},
    }


def _constant(value: Any) -> Any:
    def give() -> Any:
        return value

    return give
