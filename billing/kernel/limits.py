"""Limits per caller, exact over all workers: GCRA in the broker's Valkey, one atomic script per question.

Those who ask in one turn of the event loop are counted by one question, each in its order. When Valkey does not answer,
a limit lets the caller through: a limit protects from too much, and must not become the outage itself (F26).

A limit of many uses is counted ahead: a process takes a block of uses from Valkey, as large as it has lately needed,
and gives them out for a second by itself. All processes together still never let through more than the quota; what one
took and did not give out is lost to the others until it is refilled.
"""

from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from billing.kernel.errors import TooMany
from billing.kernel.turns import Turns

PATIENCE = 1.0
"""Seconds a caller waits to be counted."""
KEPT: Final = 1.0
"""Seconds for which uses that were counted ahead are given out; and for which nobody asks a Valkey that was silent."""
LEAST_AHEAD: Final = 16
ASK: Final = -1
"""Nothing is at hand: Valkey must be asked."""

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
    """At most `quota` in any burst, refilled evenly over `window`. `ahead`: as many a process may take at once."""

    name: str
    quota: int
    window: timedelta
    ahead: int = 0


class _Counted(msgspec.Struct):
    """What Valkey said of one subject: there is `room`, of which `given` are for those who asked in one turn and for
    those who come until `ends`. Not `known`: it said nothing, and whoever comes passes."""

    room: int
    given: int
    wait: int
    ends: float = 0.0
    known: bool = True
    passed: int = 0


class Limiter:
    """Counts in Valkey; made once per process."""

    def __init__(self, url: str | None) -> None:
        self._client: Redis | None = None
        if url is not None and url.startswith("redis"):
            self._client = Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
            self._script = self._client.register_script(_SCRIPT)
            self._turns = Turns[_Counted](self._count, PATIENCE, at_once=1)
            self._ahead: dict[tuple[str, str], _Counted] = {}

    def at_hand(self, limit: Limit, subject: str) -> int | None:
        """Count one use by `subject` where nobody need be asked; answers as `take` does, or ASK."""
        if self._client is None:
            return None
        counted = self._ahead.get((limit.name, subject)) if limit.ahead else None
        if counted is None or monotonic() >= counted.ends:
            return ASK
        if not counted.known:
            return None
        if counted.passed >= counted.given:
            return ASK
        counted.passed += 1
        return counted.room - counted.passed

    async def take(self, limit: Limit, subject: str) -> int | None:
        """Count one use by `subject`; answers how many remain (None: not counted). Raises TooMany when spent."""
        remaining = self.at_hand(limit, subject)
        if remaining != ASK:
            return remaining
        step = limit.window // timedelta(microseconds=1) // limit.quota
        key = _APART.join((str(step), str(limit.quota), str(limit.ahead), limit.name, subject))
        while True:
            told = await self._turns.ask((key,))
            if isinstance(told, Exception):
                log.warning("limit_not_counted", limit=limit.name, fault=type(told).__name__)
                if limit.ahead:
                    self._ahead[limit.name, subject] = _Counted(0, 0, 0, monotonic() + KEPT, known=False)
                return None
            counted = told[key]
            if counted.passed < counted.given:
                counted.passed += 1
                return counted.room - counted.passed
            if counted.given >= counted.room:
                seconds = -(-counted.wait // 1_000_000)
                raise TooMany("Too many requests; wait and ask again.", retry_after=max(seconds, 1), limit=limit.name)
            # Others have used up what was taken ahead before this asker had its turn.

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()

    async def _count(self, wanted: Mapping[str, int]) -> dict[str, _Counted]:
        counted: dict[str, _Counted] = {}
        asked: list[tuple[str, str, str, int]] = []
        arguments: list[str | int] = []
        for key, times in wanted.items():
            step, quota, ahead, name, subject = key.split(_APART, 4)
            last = self._ahead.get((name, subject))
            if last is not None and monotonic() < last.ends and last.given - last.passed >= times:
                counted[key] = last  # taken by the turn before, while these waited
                continue
            block = 0 if ahead == "0" else min(int(ahead), max(LEAST_AHEAD, 2 * last.passed if last else 0))
            asked.append((key, name, subject, max(times, block)))
            arguments += (step, quota, asked[-1][-1])
        keys = [f"limit:{name}:{subject}" for _, name, subject, _ in asked]
        told: list[tuple[int, int]] = await self._script(keys=keys, args=arguments) if keys else []
        for (key, name, subject, most), (room, wait) in zip(asked, told, strict=True):
            counted[key] = _Counted(int(room), min(most, int(room)), int(wait), monotonic() + KEPT)
            if key.split(_APART, 3)[2] != "0":
                self._ahead[name, subject] = counted[key]
        return counted
