"""Whether what a process stands on can be reached, in a word for `/readyz`: `ok`, or what is wrong."""

from datetime import timedelta
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.clock import Clock

MOST_SKEW: Final = timedelta(seconds=2)


async def clock_word(session: AsyncSession, clock: Clock) -> str:
    """Whether our clock and the database's agree, to two seconds."""
    theirs: Any = await session.scalar(select(func.clock_timestamp()))
    return "ok" if abs(theirs - clock.now()) <= MOST_SKEW else "skewed"


async def broker_word(url: str) -> str:
    """The broker is a doorbell: without it work is late, not lost, so it is told and is not unreadiness."""
    if not url.startswith("redis"):
        return "not_checked"
    client = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    try:
        await client.execute_command("PING")
    except (RedisError, OSError) as fault:
        return type(fault).__name__
    finally:
        await client.aclose()
    return "ok"
