"""The rows of renewing rights, found, locked, and named for the rooms that are handed them."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.subscriptions.tables import RenewalChangeRow, RenewalInvoiceRow, RenewalRow

Renewal = RenewalRow
"""What a buyer agreed to be charged for, again and again."""
RenewalInvoice = RenewalInvoiceRow
"""What the provider asked for once."""
RenewalChange = RenewalChangeRow
"""A change that was shown to the buyer, with what it comes to."""

Due = Literal["push", "guard", "look"]
_COLUMNS: Final = {"push": RenewalRow.push_at, "guard": RenewalRow.guard_at, "look": RenewalRow.check_at}


async def claim(session: AsyncSession, due: Due, at: datetime, limit: int) -> list[RenewalRow]:
    """Rows whose time for something has come, locked, the longest waiting first."""
    column = _COLUMNS[due]
    query = select(RenewalRow).where(column <= at).order_by(column, RenewalRow.id).limit(limit)
    return list(await session.scalars(query.with_for_update(skip_locked=True)))


def earliest(due: Due) -> Callable[[AsyncSession], Awaitable[datetime | None]]:
    """When the next row's time for something comes."""

    async def next_due(session: AsyncSession) -> datetime | None:
        return await session.scalar(select(func.min(_COLUMNS[due])))

    return next_due


async def of_method(session: AsyncSession, method: str) -> RenewalRow | None:
    """The row that is charged by this way of paying, locked."""
    return await session.scalar(select(RenewalRow).where(RenewalRow.provider_method == method).with_for_update())


async def invoice(session: AsyncSession, provider_id: str) -> RenewalInvoiceRow | None:
    """The invoice of the provider's id, locked."""
    return await session.get(RenewalInvoiceRow, provider_id, with_for_update=True, populate_existing=True)


async def change(session: AsyncSession, key: UUID, *, lock: bool = False) -> RenewalChangeRow:
    """The change, as it stands now."""
    return await session.get_one(RenewalChangeRow, key, with_for_update=lock or None, populate_existing=True)


async def shown_change(session: AsyncSession, key: UUID, renewal: UUID) -> RenewalChangeRow | None:
    """The change of this key, if it was shown for this renewal."""
    row = await session.get(RenewalChangeRow, key, populate_existing=True)
    return row if row is not None and row.renewal_id == renewal else None


async def has_changed(session: AsyncSession, renewal: UUID, since: datetime) -> bool:
    """Whether a change that was shown at `since` or later has been made."""
    made = RenewalChangeRow.renewal_id == renewal, RenewalChangeRow.state == "done"
    query = select(RenewalChangeRow.id).where(*made, RenewalChangeRow.created_at >= since).limit(1)
    return await session.scalar(query) is not None


async def unfinished_change(session: AsyncSession, renewal: UUID) -> UUID | None:
    """The change that was accepted and is not made yet."""
    accepted = RenewalChangeRow.renewal_id == renewal, RenewalChangeRow.state == "accepted"
    return await session.scalar(select(RenewalChangeRow.id).where(*accepted))


async def accepted_change(session: AsyncSession, renewal: UUID, amount: int) -> RenewalChangeRow | None:
    """The one change that was accepted and waits for an invoice of this amount, locked."""
    accepted = RenewalChangeRow.renewal_id == renewal, RenewalChangeRow.state == "accepted"
    query = select(RenewalChangeRow).where(*accepted, RenewalChangeRow.amount == amount)
    return await session.scalar(query.with_for_update())
