"""The writer's life: take the machine's place, load everybody, follow the feed, make room when it grows scarce.

Any number of processes run this; one of them writes, and when it ends, however it ends, another takes over and loads
anew. Nothing here ends by a fault: what goes wrong is logged and counted, and the life begins again.
"""

import errno
from asyncio import sleep, timeout, wait_for
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy.engine import Engine

from billing.kernel import metrics
from billing.kernel.clock import ticks
from billing.kernel.line import FAULTS, Line
from billing.kernel.serving import interruptible
from entitlements.facts import AccountFacts
from entitlements.reader import read
from entitlements.snapshot.feed import Feed, Gap
from entitlements.snapshot.keeper import Full, Keeper
from entitlements.snapshot.loading import LEAST, MANY, SIZE, load
from entitlements.snapshot.place import Place

EVERY: Final = 250_000_000
"""Nanoseconds between two readings of the feed when nothing wakes us."""
_APART: Final = 4_000_000
"""Nanoseconds between two readings, however often we are woken."""
_TRY: Final = 0.25
"""Seconds between two tries to become the writer."""
_LONGEST_PAUSE: Final = 5.0
_LONG: Final = 60 * 10**9
"""Nanoseconds of life after which a fault does not count as one more of the same."""
_PATIENCE: Final = 5.0
_COPIED: Final = 1000
"""Slots copied to a larger shelf in one turn of the loop."""
_SLACK: Final = 1 << 25
"""Bytes of outdated facts that are not worth a copy."""
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EFBIG}
_UNTIL_ROOM: Final = 60.0

log = structlog.get_logger(__name__)


class Keeping:
    """Keeps the snapshot of a place true to a database, as long as `run` runs."""

    def __init__(self, engine: Engine, place: Place) -> None:
        self._engine = engine
        self._place = place
        self._line = Line(engine, _PATIENCE)
        self._shelf: Keeper | None = None
        self._larger: Keeper | None = None
        self._number = 0
        self._copied = 0
        self._fit = 0

    async def run(self) -> None:
        """Never returns."""
        pause = _TRY
        try:
            while True:
                begun = ticks()
                room = True
                try:
                    await self._live()
                except Gap:
                    log.warning("snapshot_gap")
                except FAULTS as fault:
                    log.warning("snapshot_broken_off", fault=type(fault).__name__)
                    room = getattr(fault, "errno", None) not in _NO_ROOM
                except Exception:
                    log.exception("snapshot_fault")
                metrics.SNAPSHOT_FAULTS.inc()
                if not room:
                    log.error("snapshot_memory_full", folder=str(self._place.folder))
                pause = _TRY if ticks() - begun > _LONG else min(pause * 2, _LONGEST_PAUSE)
                await sleep(pause if room else _UNTIL_ROOM)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the shelves and the connection."""
        self._drop_shelves()
        self._line.drop()

    async def _live(self) -> None:
        while not self._place.take():  # noqa: ASYNC110 - a lock of the kernel: nobody tells us
            await sleep(_TRY)
        feed = Feed(self._engine)
        try:
            await feed.begin()
            self._drop_shelves()
            self._number = self._place.fresh()
            with interruptible():
                self._shelf = await load(self._engine, self._line, self._new_shelf)
            self._fit = self._shelf.size
            metrics.SNAPSHOT_LOADS.inc()
            await self._follow(feed)
        finally:
            feed.drop()
            self._place.leave()

    async def _follow(self, feed: Feed) -> None:
        """Read the feed, and apply it, for ever; the first reading makes the shelf the present one."""
        pause = 0.0
        while True:
            feed.woken.clear()
            begun = ticks()
            try:
                await self._apply(await feed.changed())
            except FAULTS as fault:
                feed.drop()
                if not pause:
                    log.warning("snapshot_feed_lost", fault=type(fault).__name__)
                pause = min(pause * 2 or 0.05, 1.0)
                await sleep(pause)
                continue
            pause = 0.0
            feed.done(begun)
            if self._larger is None:
                self._place.present(self._number)
            self._place.hear(begun)
            if self._shelf is not None:
                metrics.SNAPSHOT_ACCOUNTS.set(self._shelf.used)
                metrics.SNAPSHOT_BYTES.set(self._shelf.size)
            await self._rest(feed, begun)

    async def _apply(self, accounts: set[str]) -> None:
        """Look these accounts up again, as every question does, and put on the shelf what is found."""
        ordered = list(accounts)
        for first in range(0, len(ordered), MANY):
            asked = ordered[first : first + MANY]
            async with timeout(_PATIENCE):
                known = await read(self._line, asked)
            for account in asked:
                try:
                    self._put(account, known.get(account))
                except Full:
                    await self._move_now(len(ordered))
                    self._put(account, known.get(account))

    def _put(self, account: str, facts: AccountFacts | Exception | None) -> None:
        for shelf in (self._shelf, self._larger):
            if shelf is None:
                continue
            if isinstance(facts, AccountFacts):
                shelf.put(facts)
            else:
                shelf.drop(account)

    async def _rest(self, feed: Feed, begun: int) -> None:
        """Until there is something to read; a copy under way goes on meanwhile."""
        shelf = self._shelf
        if shelf is not None and self._larger is None and shelf.is_tight(self._fit * 2 + _SLACK):
            self._begin_move(shelf, shelf.used)
        await sleep(max(0, _APART - (ticks() - begun)) / 10**9)
        if self._larger is not None:
            await self._move(lambda: not feed.woken.is_set() and ticks() - begun < EVERY)
        if self._larger is None:
            with suppress(TimeoutError):
                await wait_for(feed.woken.wait(), max(0, EVERY - (ticks() - begun)) / 10**9)

    def _new_shelf(self, accounts: int, size: int) -> Keeper:
        return Keeper(self._place.shelf(self._number), accounts, size)

    def _begin_move(self, shelf: Keeper, more: int) -> None:
        """A copy of the shelf with room for more accounts. Until it is complete, every change is put on both."""
        self._copied = 0
        path = self._place.shelf(self._number + 1)
        self._larger = Keeper(path, shelf.used + more, shelf.size * 2 + LEAST + more * SIZE, like=shelf)

    def _move_some(self, larger: Keeper) -> None:
        """The next slots; when there are no more, the larger shelf is the one that is kept, and presented next."""
        shelf = self._shelf
        if shelf is None:
            return
        until = self._copied + _COPIED
        larger.copy(shelf, self._copied, until)
        self._copied = until
        if until >= shelf.places:
            self._shelf, self._larger = larger, None
            self._number += 1
            self._fit = larger.size
            self._place.present(self._number)
            shelf.close()

    async def _move_now(self, more: int) -> None:
        """There is no room left: nothing is applied until there is, and the feed falls silent if that takes long."""
        if self._larger is None and self._shelf is not None:
            self._begin_move(self._shelf, more)
        await self._move(lambda: True)

    async def _move(self, goes_on: Callable[[], bool]) -> None:
        with interruptible():
            while self._larger is not None and goes_on():
                self._move_some(self._larger)
                await sleep(0)

    def _drop_shelves(self) -> None:
        for shelf in (self._shelf, self._larger):
            if shelf is not None:
                shelf.close()
        self._shelf = self._larger = None
