"""Limits per caller, exact over all workers: GCRA in the broker's Valkey, one atomic script per question.

When Valkey does not answer, a limit lets the caller through: a limit protects from too much, and must not become the
outage itself (F26).
"""

from datetime import timedelta

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from billing.kernel.errors import TooMany

_SCRIPT = """
local now = redis.call('TIME'); local us = now[1] * 1000000 + now[2]
local step = tonumber(ARGV[1]); local burst = tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or us), us)
local ahead = tat - us
if ahead + step > step * burst then return {0, 0, ahead + step - step * burst} end
redis.call('SET', KEYS[1], string.format('%.0f', tat + step), 'PX', math.ceil((ahead + step) / 1000) + 1000)
return {1, math.floor((step * burst - ahead - step) / step), 0}
"""

log = structlog.get_logger(__name__)


class Limit(msgspec.Struct, frozen=True):
    """At most `quota` in any burst, refilled evenly over `window`."""

    name: str
    quota: int
    window: timedelta


class Limiter:
    """Counts in Valkey; made once per process."""

    def __init__(self, url: str | None) -> None:
        self._client: Redis | None = None
        if url is not None and url.startswith("redis"):
            self._client = Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
            self._script = self._client.register_script(_SCRIPT)

    async def take(self, limit: Limit, subject: str) -> int | None:
        """Count one use by `subject`; answers how many remain (None: not counted). Raises TooMany when spent."""
        if self._client is None:
            return None
        step = limit.window // timedelta(microseconds=1) // limit.quota
        try:
            passed, remaining, wait = await self._script(
                keys=[f"limit:{limit.name}:{subject}"], args=[step, limit.quota]
            )
        except (RedisError, OSError) as fault:
            log.warning("limit_not_counted", limit=limit.name, fault=type(fault).__name__)
            return None
        if not passed:
            seconds = -(-int(wait) // 1_000_000)
            raise TooMany("Too many requests; wait and ask again.", retry_after=max(seconds, 1), limit=limit.name)
        return int(remaining)

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()
