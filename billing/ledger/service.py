"""Writing into the books."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import day_of
from billing.kernel.ids import new_id
from billing.ledger.rules import Line
from billing.ledger.tables import LedgerLineRow


async def post(session: AsyncSession, cause: str, order: str, lines: Iterable[Line], happened_at: datetime) -> None:
    """Book one transaction on the Warsaw day it happened (R104). `cause` is unique: booking a fact twice fails."""
    transaction = new_id(happened_at)
    for line in lines:
        if line.amount:
            session.add(
                LedgerLineRow(
                    id=new_id(happened_at),
                    transaction_id=transaction,
                    cause=cause,
                    order_id=order,
                    account=line.account,
                    amount=line.amount,
                    currency="PLN",
                    at=happened_at,
                    booked_on=day_of(happened_at),
                )
            )
    await session.flush()


async def balance(session: AsyncSession, account: str) -> int:
    """The balance of a ledger account in grosz; debits are positive."""
    total = await session.scalar(select(func.sum(LedgerLineRow.amount)).where(LedgerLineRow.account == account))
    return int(total or 0)
