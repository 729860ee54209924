"""Work that lives in tables: what is due and not done, never what came due since the last look (I23, I24).

The broker carries only the name of a piece of work, as a doorbell. Ringing twice, or three beats ringing, is harmless.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Protocol

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession


class Work(msgspec.Struct, frozen=True):
    """One kind of due work.

    `next_due` answers the earliest instant at which something is, or becomes, due (None: nothing waits).
    `run` does one batch of what is due at the instant given and answers how many pieces it did.
    """

    name: str
    queue: str
    next_due: Callable[[AsyncSession], Awaitable[datetime | None]]
    run: Callable[[datetime], Awaitable[int]]


class Doorbell(Protocol):
    """Tells workers that work of some names may be due. Losing a ring loses nothing: a sweep looks anyway."""

    def ring(self, names: Iterable[str]) -> None:
        """Wake whoever does the named work; never raises and never waits."""
        ...


class SilentDoorbell:
    """Nobody is woken; for tools and tests that run the work themselves."""

    def ring(self, names: Iterable[str]) -> None:
        """Do nothing."""
