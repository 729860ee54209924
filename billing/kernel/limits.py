"""Limits per caller, exact over all workers: GCRA in the broker's Valkey, one atomic script per question.

Those who ask in one turn of the event loop are counted by one question, each in its order. When Valkey does not answer,
a limit lets the caller through: a limit protects from too much, and must not become the outage itself (F26).

A limit of many uses is counted ahead: a process takes a block of uses from Valkey, as large as it has lately needed,
and gives them out for a second by itself. The next block is fetched before one is used up, so that nobody waits for it.
All processes together still never let through more than the quota; what one took and did not give out is lost to the
others until it is refilled.
"""

from asyncio import Task, gather, get_running_loop, timeout, wait
from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

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


class Limit(msgspec.Struct, frozen=True, cache_hash=True):
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
    fetch: Task[None] | None = None
    following: "_Counted | None" = None

    def is_over(self, now: float) -> bool:
        """Whether nothing of it may be given out any more."""
        return now >= self.ends or (self.known and self.passed >= self.given)

    def is_nearly_over(self, now: float) -> bool:
        """Whether it is time to fetch the next block."""
        return self.passed * 4 >= self.given * 3 or now >= self.ends - KEPT / 4


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
        now = monotonic()
        counted = self._present(limit.name, subject, now) if limit.ahead else None
        if counted is None:
            return ASK
        if not counted.known:
            return None
        counted.passed += 1
        if counted.fetch is None and counted.is_nearly_over(now):
            counted.fetch = get_running_loop().create_task(self._follow(counted, limit, subject))
        return counted.room - counted.passed

    async def take(self, limit: Limit, subject: str) -> int | None:
        """Count one use by `subject`; answers how many remain (None: not counted). Raises TooMany when spent."""
        remaining = self.at_hand(limit, subject)
        if remaining != ASK:
            return remaining
        key = _APART.join((str(_step(limit)), str(limit.quota), str(limit.ahead), limit.name, subject))
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
            fetching = [counted.fetch for counted in self._ahead.values() if counted.fetch is not None]
            for task in fetching:
                task.cancel()
            await gather(*fetching, return_exceptions=True)
            await self._client.aclose()

    def _present(self, name: str, subject: str, now: float) -> _Counted | None:
        """The block that is given out now."""
        counted = self._ahead.get((name, subject))
        if counted is not None and counted.is_over(now):
            counted = counted.following
            if counted is None or counted.is_over(now):
                return None
            self._ahead[name, subject] = counted
        return counted

    async def _follow(self, counted: _Counted, limit: Limit, subject: str) -> None:
        """Fetch the block that comes after this one. Where that fails, whoever finds this one used up asks again."""
        block = _block(limit.ahead, counted)
        try:
            async with timeout(PATIENCE):
                told = await self._script(keys=[_kept_as(limit.name, subject)], args=[_step(limit), limit.quota, block])
        except (RedisError, OSError) as fault:
            log.warning("limit_not_counted", limit=limit.name, fault=type(fault).__name__)
            return
        counted.following = _counted(block, *told[0])

    async def _count(self, wanted: Mapping[str, int]) -> dict[str, _Counted]:
        counted: dict[str, _Counted] = {}
        asked: list[tuple[str, str, str, int]] = []
        arguments: list[str | int] = []
        for key, times in wanted.items():
            step, quota, ahead, name, subject = key.split(_APART, 4)
            last = self._ahead.get((name, subject))
            if last is not None and last.fetch is not None:
                await wait({last.fetch})
            present = self._present(name, subject, monotonic())
            if present is not None and present.given - present.passed >= times:
                counted[key] = present  # taken by the turn before, or ahead, while these waited
                continue
            asked.append((key, name, subject, max(times, _block(int(ahead), last))))
            arguments += (step, quota, asked[-1][-1])
        keys = [_kept_as(name, subject) for _, name, subject, _ in asked]
        told: list[tuple[int, int]] = await self._script(keys=keys, args=arguments) if keys else []
        for (key, name, subject, most), (room, pause) in zip(asked, told, strict=True):
            counted[key] = _counted(most, room, pause)
            if key.split(_APART, 3)[2] != "0":
                self._ahead[name, subject] = counted[key]
        return counted


def _step(limit: Limit) -> int:
    """Microseconds after which one use is refilled."""
    return limit.window // timedelta(microseconds=1) // limit.quota


def _kept_as(name: str, subject: str) -> str:
    return f"limit:{name}:{subject}"


def _block(ahead: int, last: _Counted | None) -> int:
    """How many uses to take at once, by what was needed of the block before."""
    return min(ahead, max(LEAST_AHEAD, 2 * last.passed if last else 0))


def _counted(most: int, room: int, wait: int) -> _Counted:
    return _Counted(int(room), min(most, int(room)), int(wait), monotonic() + KEPT)
