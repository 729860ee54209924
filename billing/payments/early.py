"""News of a payment that is not known yet: kept, and read again at the provider once it is (I01)."""

from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.payments.tables import EarlyNewsRow, PaymentRow

Subject = Literal["refund", "dispute"]

LEASE: Final = timedelta(minutes=1)
_ITS_PAYMENT: Final = or_(
    PaymentRow.stripe_payment_intent == EarlyNewsRow.stripe_payment,
    PaymentRow.stripe_charge == EarlyNewsRow.stripe_payment,
)


async def keep(session: AsyncSession, kind: Subject, object_id: str, payment: str | None, at: datetime) -> None:
    """Remember an object whose payment may yet become known; most never will: they belong to somebody else."""
    if payment is not None:
        values = {"object_id": object_id, "kind": kind, "stripe_payment": payment, "due_at": at}
        await session.execute(insert(EarlyNewsRow).values(values).on_conflict_do_nothing())


async def next_due(session: AsyncSession) -> datetime | None:
    """When the payment of some early news became known, or its last reader gave up."""
    known = func.greatest(EarlyNewsRow.due_at, PaymentRow.recorded_at)
    return await session.scalar(select(func.min(known)).join_from(EarlyNewsRow, PaymentRow, _ITS_PAYMENT))


async def claim(session: AsyncSession, at: datetime, limit: int) -> list[tuple[Subject, str]]:
    """Objects to read again now; each is due again later whatever comes of it."""
    query = (
        select(EarlyNewsRow)
        .join(PaymentRow, _ITS_PAYMENT)
        .where(EarlyNewsRow.due_at <= at)
        .order_by(EarlyNewsRow.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=EarlyNewsRow)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        row.due_at = at + LEASE
    return [("refund" if row.kind == "refund" else "dispute", row.object_id) for row in rows]


async def forget(session: AsyncSession, object_id: str) -> None:
    """It was judged."""
    await session.execute(delete(EarlyNewsRow).where(EarlyNewsRow.object_id == object_id))
