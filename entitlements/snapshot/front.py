"""The front desk's facts: from the machine's shared memory when that may be trusted, else from the database.

It may be trusted while the feed was heard within the last second, for accounts that are known there, and that this very
process has not written since. Everything else asks the database. When that does not answer, the last that was known is
told as `stale` (I07): the caller judges how long.
"""

from asyncio import CancelledError, Task, create_task
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from billing.kernel import metrics
from billing.kernel.clock import ticks
from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from entitlements.changes import TOPIC, Whom
from entitlements.facts import NO_SPAN, AccountFacts, Only, PupilFacts, Span
from entitlements.reader import FactsReader
from entitlements.snapshot.keeping import Keeping
from entitlements.snapshot.names import Torn
from entitlements.snapshot.place import Place, folder_for, sweep
from entitlements.snapshot.shelf import Shelf

SILENCE: Final = 1_000_000_000
"""Nanoseconds after which a feed that was not heard is not trusted."""
OLDEST: Final = 24 * 3600 * 10**9
"""Nanoseconds after which what was last heard is not even told as stale."""
OFF: Final = "off"
"""The folder's name by which there is no snapshot at all."""
_MANY: Final = 10_000
"""Accounts and pupils that are remembered one by one as written here."""

log = structlog.get_logger(__name__)


class Unreachable(AccountFacts, frozen=True, gc=False):
    """An account of which nothing can be known at this moment: whoever asks is told so."""

    fault: Unavailable = Unavailable("Rights cannot be looked up at this moment.", code="store_unavailable")

    def of(self, pupil: str | None) -> PupilFacts:  # noqa: ARG002 - of whomever
        """Raises Unavailable `store_unavailable`."""
        raise self.fault


class Snapshot:
    """Facts of one process; until `open`, and wherever there is no shared memory, it is the database alone."""

    def __init__(self, reader: FactsReader, database: Database, folder: str = "") -> None:
        self._reader = reader
        self._engine = database.engine.sync_engine
        self._folder = Path(folder) if folder else folder_for(self._engine)
        self._place: Place | None = None
        self._words: memoryview | None = None
        self._shelf: Shelf | None = None
        self._number = 0
        self._keeping: Task[None] | None = None
        self._written: dict[str, int] = {}
        self._all_written = 0
        self._forgot = 0
        database.when_committed(TOPIC, self._committed)

    def open(self) -> None:
        """Take part in the machine's snapshot."""
        try:
            if self._folder == folder_for(self._engine):
                sweep(self._folder.parent)
            self._place = Place(self._folder)
        except OSError as fault:
            log.error("snapshot_impossible", fault=type(fault).__name__)  # noqa: TRY400 - the reason is all there is
            return
        self._words = self._place.words
        metrics.SNAPSHOT_AGE.set_function(self._age)
        self._keeping = create_task(Keeping(self._engine, self._place).run(), name="snapshot")

    async def close(self) -> None:
        """Leave it."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            with suppress(CancelledError):
                await keeping
        self._words = None
        shelf, self._shelf = self._shelf, None
        if shelf is not None:
            shelf.close()
        place, self._place = self._place, None
        if place is not None:
            place.close()

    @property
    def heard(self) -> int:
        """The instant (`clock.ticks`) up to which every commit is known here; 0: never heard."""
        return 0 if self._place is None else self._place.heard

    @property
    def generation(self) -> int:
        """How many shelves there have been; each load makes one, and each copy to a larger one."""
        return 0 if self._place is None else self._place.generation

    def at_hand(self, account: str) -> AccountFacts | None:
        """What is known here and may be trusted at this instant; None: ask, which may have to wait. Never stale."""
        words = self._words
        if words is None:
            return None
        heard = words[1]
        if not 0 <= ticks() - heard < SILENCE:
            return None
        return self._known(words, account, heard)

    def spans_at_hand(
        self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]
    ) -> Sequence[Span]:
        """What `at_hand` knows of the plainest; NO_SPAN for all while something was written here that was not heard."""
        shelf = self._calm()
        return [NO_SPAN] * len(accounts) if shelf is None else shelf.spans(accounts, pupils, features)

    def only_at_hand(
        self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]
    ) -> Sequence[Only | None]:
        """The same of the rights themselves."""
        shelf = self._calm()
        return [None] * len(accounts) if shelf is None else shelf.only(accounts, pupils, features)

    async def account(self, account: str, *, strong: bool = False) -> AccountFacts | None:
        """The facts of one account, None for an unknown one. Raises Unavailable `store_unavailable`."""
        if not strong and (facts := self.at_hand(account)) is not None:
            return facts
        try:
            return await self._reader.account(account)
        except Unavailable:
            if strong or (facts := self._stale(account)) is None:
                raise
            return facts

    async def accounts(self, accounts: Collection[str], *, strong: bool = False) -> dict[str, AccountFacts]:
        """The facts of each known account. With the database gone, an account of which nothing is known here is an
        `Unreachable`; where that is so of all, Unavailable `store_unavailable` is raised."""
        found: dict[str, AccountFacts] = {}
        if not strong:
            found = {account: facts for account in accounts if (facts := self.at_hand(account)) is not None}
        missing = [account for account in accounts if account not in found]
        if not missing:
            return found
        try:
            return found | await self._reader.accounts(missing)
        except Unavailable as fault:
            last = {} if strong else {each: facts for each in missing if (facts := self._stale(each)) is not None}
            if not found and not last:
                raise
            return {
                each: found.get(each) or last.get(each) or Unreachable(each, (), stale=True, fault=fault)
                for each in accounts
            }

    def _age(self) -> float:
        return -1.0 if self._place is None or not self.heard else (ticks() - self.heard) / 10**9

    def _stale(self, account: str) -> AccountFacts | None:
        """The last that was known. What this process itself has overwritten since is not."""
        words = self._words
        if words is None or not 0 <= ticks() - words[1] < OLDEST:
            return None
        facts = self._known(words, account, words[1])
        return None if facts is None else msgspec.structs.replace(facts, stale=True)

    def _known(self, words: memoryview, account: str, heard: int) -> AccountFacts | None:
        shelf = self._present(words)
        facts = None if shelf is None else shelf.find(account)
        if facts is None or not self._is_writing(heard):
            return facts
        return None if self._is_overwritten(facts, heard) else facts

    def _calm(self) -> Shelf | None:
        """The present shelf, where all of it may be trusted at this instant."""
        words = self._words
        if words is None:
            return None
        heard = words[1]
        return self._present(words) if 0 <= ticks() - heard < SILENCE and not self._is_writing(heard) else None

    def _present(self, words: memoryview) -> Shelf | None:
        shelf = self._shelf
        return shelf if shelf is not None and words[0] == self._number else self._turn_to(words[0])

    def _committed(self, changes: frozenset[Whom]) -> None:
        """What this very process has just changed is asked of the database until the feed has passed here."""
        if self._place is None:
            return
        now = ticks()
        for account, pupil, school in changes:
            if school is not None or len(self._written) > _MANY:
                self._all_written = now
            else:
                self._written.update((name, now) for name in (account, pupil) if name is not None)

    def _is_writing(self, heard: int) -> bool:
        """Whether this process wrote anything after what was heard. What is older than that is forgotten."""
        if self._written and heard != self._forgot:
            self._forgot = heard
            self._written = {name: at for name, at in self._written.items() if at >= heard}
        return bool(self._written) or self._all_written >= heard

    def _is_overwritten(self, facts: AccountFacts, heard: int) -> bool:
        """Whether this process wrote these facts after what was heard."""
        if self._all_written >= heard:
            return True
        written = self._written
        return facts.account in written or any(pupil.pupil in written for pupil in facts.pupils)

    def _turn_to(self, number: int) -> Shelf | None:
        """Open the present shelf; None: there is none, or it has gone in this very moment."""
        shelf, self._shelf = self._shelf, None
        if shelf is not None:
            shelf.close()
        if self._place is None or not number:
            return None
        try:
            self._shelf = Shelf(self._place.shelf(number))
        except (OSError, Torn, ValueError):
            return None
        self._number = number
        return self._shelf
