"""Whom mail can reach, asked for many accounts at once."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.tables import AccountRow
from billing.kernel.among import among


async def reachable(session: AsyncSession, accounts: Collection[str]) -> dict[str, bool]:
    """Those of the accounts that are confirmed (R26), each with whether mail to it came back (R29)."""
    query = select(AccountRow.account, AccountRow.bounced_at.is_not(None))
    found = await session.execute(
        query.where(among(AccountRow.account, accounts), AccountRow.confirmed_at.is_not(None))
    )
    return {row[0]: row[1] for row in found}
