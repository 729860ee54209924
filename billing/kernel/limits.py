"""Limits per caller, exact over all workers: GCRA in the broker's Valkey, one atomic script per question.

Those who ask in one turn of the event loop are counted by one question, each in its order. When Valkey does not answer,
a limit lets the caller through: a limit protects from too much, and must not become the outage itself (F26).
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import structlog
from redis.asyncio import Redis

from billing.kernel.errors import TooMany
from billing.kernel.turns import Turns

PATIENCE = 1.0
"""Seconds a caller waits to be counted."""

_SCRIPT = """
local now = redis.call('TIME'); local us = now[1] * 1000000 + now[2]
local told = {}
for i, key in ipairs(KEYS) do
  local step = tonumber(ARGV[3 * i - 2]); local burst = tonumber(ARGV[3 * i - 1]); local wanted = tonumber(ARGV[3 * i])
  local ahead = math.max(tonumber(redis.call('GET', key) or us) - us, 0)
  local room = math.max(math.floor((step * burst - ahead) / step), 0)
  local passing = math.min(wanted, room)
  if passing > 0 then
    ahead = ahead + passing * step
    redis.call('SET', key, string.format('%.0f', us + ahead), 'PX', math.ceil(ahead / 1000) + 1000)
  end
  told[i] = {room, ahead + step - step * burst}
end
return told
"""
_APART = "|"

log = structlog.get_logger(__name__)


class Limit(msgspec.Struct, frozen=True):
    """At most `quota` in any burst, refilled evenly over `window`."""

    name: str
    quota: int
    window: timedelta


class _Counted(msgspec.Struct):
    """What Valkey said of one subject to all who asked about it in one turn: the first `room` of them pass."""

    room: int
    wait: int
    passed: int = 0


class Limiter:
    """Counts in Valkey; made once per process."""

    def __init__(self, url: str | None) -> None:
        self._client: Redis | None = None
        if url is not None and url.startswith("redis"):
            self._client = Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
            self._script = self._client.register_script(_SCRIPT)
            self._turns = Turns[_Counted](self._count, PATIENCE, at_once=1)

    async def take(self, limit: Limit, subject: str) -> int | None:
        """Count one use by `subject`; answers how many remain (None: not counted). Raises TooMany when spent."""
        if self._client is None:
            return None
        step = limit.window // timedelta(microseconds=1) // limit.quota
        key = _APART.join((str(step), str(limit.quota), f"limit:{limit.name}:{subject}"))
        told = await self._turns.ask((key,))
        if isinstance(told, Exception):
            log.warning("limit_not_counted", limit=limit.name, fault=type(told).__name__)
            return None
        counted = told[key]
        if counted.passed >= counted.room:
            seconds = -(-counted.wait // 1_000_000)
            raise TooMany("Too many requests; wait and ask again.", retry_after=max(seconds, 1), limit=limit.name)
        counted.passed += 1
        return counted.room - counted.passed

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()

    async def _count(self, wanted: Mapping[str, int]) -> dict[str, _Counted]:
        keys: list[str] = []
        arguments: list[str | int] = []
        for key, times in wanted.items():
            step, quota, name = key.split(_APART, 2)
            keys.append(name)
            arguments += (step, quota, times)
        told = await self._script(keys=keys, args=arguments)
        return {key: _Counted(int(room), int(wait)) for key, (room, wait) in zip(wanted, told, strict=True)}
