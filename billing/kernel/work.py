"""Work that lives in tables: what is due and not done, never what came due since the last look (I23, I24).

The broker carries only the name of a piece of work, as a doorbell. Ringing twice, or three beats ringing, is harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Final, Protocol, TypeVar

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import metrics

T = TypeVar("T")

AT_ONCE: Final = 8

log = structlog.get_logger(__name__)


class Work(msgspec.Struct, frozen=True):
    """One kind of due work.

    `next_due` answers the earliest instant at which something is, or becomes, due (None: nothing waits).
    `run` does one batch of what is due at the instant given and answers how many pieces it did.
    """

    name: str
    queue: str
    next_due: Callable[[AsyncSession], Awaitable[datetime | None]]
    run: Callable[[datetime], Awaitable[int]]


async def one_by_one(
    name: str,
    pieces: Iterable[T],
    do: Callable[[T], Awaitable[None]],
    put_off: Callable[[T], Awaitable[None]] | None = None,
) -> None:
    """Do each piece; one that raises is told in the log, put off if there is a way to, and delays no other (I24).
    One that cannot even be put off, as when no connection is free, is due again when its lease runs out."""
    for piece in pieces:
        try:
            await do(piece)
        except Exception:
            metrics.WORK_FAILED.labels(name).inc()
            log.exception("piece_failed", work=name)
            if put_off is not None:
                try:
                    await put_off(piece)
                except Exception:
                    log.exception("piece_not_put_off", work=name)


async def some_at_once(name: str, pieces: Iterable[T], do: Callable[[T], Awaitable[None]]) -> None:
    """The same, `AT_ONCE` pieces at a time: for what mostly waits for somebody outside."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(piece: T) -> None:
        async with slots:
            await one_by_one(name, (piece,), do)

    await asyncio.gather(*(one(piece) for piece in pieces))


class Doorbell(Protocol):
    """Tells workers that work of some names may be due. Losing a ring loses nothing: a sweep looks anyway."""

    def ring(self, names: Iterable[str]) -> None:
        """Wake whoever does the named work; never raises and never waits."""
        ...


class SilentDoorbell:
    """Nobody is woken; for tools and tests that run the work themselves."""

    def ring(self, names: Iterable[str]) -> None:
        """Do nothing."""
