"""No more letters a minute to one receiving domain than it takes kindly (R27, F47).

Each domain has the instant of its next free slot. A letter that is due takes a slot once: now, or later, and is then
due at that slot; so a crowd of letters is spread out in one look at each, and other domains are not delayed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.among import among_found
from billing.notices.kinds import AWAITED, CROWDED
from billing.notices.tables import LetterRow, PaceRow

BURST = timedelta(seconds=10)
"""How far ahead of its pace a domain that had nothing for a while may run."""


async def due_letters(session: AsyncSession, at: datetime, limit: int, *, of_crowd: bool = False) -> list[LetterRow]:
    """Letters that are due, locked, oldest first: those that somebody waits for, or those of a crowd."""
    is_wanted = LetterRow.kind.in_(CROWDED) if of_crowd else text(AWAITED)
    query = select(LetterRow).where(LetterRow.state == "planned", LetterRow.due_at <= at, is_wanted)
    query = query.order_by(LetterRow.due_at, LetterRow.id).limit(limit).with_for_update(skip_locked=True)
    return list(await session.scalars(query))


async def hold_crowd(session: AsyncSession, at: datetime, until: datetime, limit: int) -> int:
    """Let letters of a crowd that are due wait for an instant, so many at most; answers how many were there. They take
    another slot then."""
    due = select(LetterRow.id).where(LetterRow.state == "planned", LetterRow.due_at <= at, LetterRow.kind.in_(CROWDED))
    held = due.order_by(LetterRow.due_at, LetterRow.id).limit(limit).with_for_update(skip_locked=True)
    moved = update(LetterRow).where(among_found(LetterRow.id, held)).values(due_at=until, is_paced=False)
    rows = await session.execute(moved.returning(LetterRow.id).execution_options(synchronize_session=False))
    return len(rows.all())


async def take_slots(session: AsyncSession, domains: Sequence[str], per_minute: int, at: datetime) -> list[datetime]:
    """For each letter, by the domain it goes to, when it may go; `at` where that is now. Slots of one domain are a
    minute divided by `per_minute` apart."""
    free = await _lock(session, sorted(set(domains)), at)
    step = timedelta(minutes=1) / per_minute
    slots: list[datetime] = []
    for domain in domains:
        slot = max(free[domain].free_at, at - BURST)
        free[domain].free_at = slot + step
        slots.append(max(slot, at))
    return slots


async def _lock(session: AsyncSession, domains: Sequence[str], at: datetime) -> dict[str, PaceRow]:
    """The domains' rows, made where missing, locked in the order of their names so that no two workers deadlock."""
    if domains:
        fresh = [{"domain": domain, "free_at": at - BURST} for domain in domains]
        await session.execute(insert(PaceRow).values(fresh).on_conflict_do_nothing())
    query = select(PaceRow).where(PaceRow.domain.in_(domains)).order_by(PaceRow.domain).with_for_update()
    return {row.domain: row for row in await session.scalars(query.execution_options(populate_existing=True))}
