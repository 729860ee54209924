"""Reading the news: numbered changes, one after the other. Numbers have no gap, so `seq > last` misses nothing here."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.errors import Fault, Gone, Malformed
from entitlements.tables import NewsRow, NumberingRow

_READING = text("""
update entitlement_numbering set read_at = :at where is_only in (select is_only from entitlement_numbering
    where read_at is null or read_at < cast(:at as timestamptz) - interval '1 hour' for update skip locked)""")


async def reading(session: AsyncSession, at: datetime) -> None:
    """Somebody reads the news at this instant: for a month they go on naming who leaves."""
    await session.execute(_READING, {"at": at})


async def read(session: AsyncSession, after: int | None, limit: int) -> tuple[Sequence[NewsRow], bool]:
    """Up to `limit` news after a number (None: from the oldest kept), in order, and whether there are more.

    Raises Gone `changes_forgotten` where some after it are kept no more, Malformed where it was never given out.
    """
    query = select(NewsRow).where(NewsRow.seq > (after or 0)).order_by(NewsRow.seq).limit(limit + 1)
    rows = (await session.scalars(query)).all()
    if after is not None and not (rows and rows[0].seq == after + 1):
        await _check(session, after)
    return rows[:limit], len(rows) > limit


async def _check(session: AsyncSession, after: int) -> None:
    """What follows `after` was not found: is there nothing yet, was it forgotten, or is there no such number?"""
    # Where no news are kept at all, the next one would be the oldest.
    oldest = func.coalesce(select(func.min(NewsRow.seq)).scalar_subquery(), NumberingRow.seq + 1)
    last, first = (await session.execute(select(NumberingRow.seq, oldest))).one()
    if after > last:
        fault = Fault("after", "invalid", f"No change has this number yet; the last one is {last}")
        raise Malformed("The page asked for cannot be found.", faults=(fault,))
    if after < first - 1:
        raise Gone("Changes after this number are kept no more.", code="changes_forgotten", after=after)
