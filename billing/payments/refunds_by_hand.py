"""Refunds that did not go through us: made at the provider by hand, sent by a bank transfer, or waived; and the watch
over the day by which each must have gone (R75, R76).

Every function works inside the caller's transaction; none of them calls anybody.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from sqlalchemy import DateTime, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit
from billing.kernel.days import day_of
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id, public
from billing.kernel.unsaid import first_unsaid
from billing.payments.facts import RefundFacts
from billing.payments.refunds import PREFIX, lock_refund, read_refund
from billing.payments.rules import (
    FINAL,
    REFUND_WARNINGS,
    UNSETTLED,
    Refund,
    RefundTooLarge,
    refund_due_on,
    warning_level,
)
from billing.payments.service import find_payment
from billing.payments.tables import PaymentRow, RefundRow

AT_THE_PROVIDER: Final = "provider"
"""Who is written down as having approved what somebody did in the provider's own dashboard."""

_WARSAW: Final = "Europe/Warsaw"
_BATCH: Final = 100

log = structlog.get_logger(__name__)


async def take_on(session: AsyncSession, facts: RefundFacts, at: datetime) -> Refund | None:
    """A refund of one of our payments that somebody made at the provider: from now on one of ours, with the reason
    `goodwill`. None where the payment is not ours, or not known yet.

    Raises Conflict while a refund of ours, which the provider will refuse now, still holds the money: come again.
    """
    paid = await find_payment(session, facts.payment_id or facts.charge_id or "")
    if paid is None:
        return None
    row = await session.get_one(PaymentRow, paid.id, with_for_update=True, populate_existing=True)
    if row.refund_reserved + facts.amount > row.amount:
        raise Conflict("Another refund of this payment is under way.", refund=facts.refund_id)
    key = new_id(at)
    row.refund_reserved += facts.amount
    session.add(
        RefundRow(
            id=key, payment_id=row.id, order_id=row.order_id, reason="goodwill", scope=facts.refund_id,
            amount=facts.amount, state="new", approved_by=AT_THE_PROVIDER, created_at=facts.created_at, due_at=at,
            legal_due_on=refund_due_on(day_of(facts.created_at)), stripe_refund=facts.refund_id,
        )
    )  # fmt: skip
    audit.record(
        session, at, "refund.taken_on", public(PREFIX, key),
        actor=AT_THE_PROVIDER, after="new", reason="goodwill", order=row.order_id, amount=facts.amount,
    )  # fmt: skip
    await session.flush()
    return await read_refund(session, key)


async def end_by_hand(
    session: AsyncSession, refund_id: UUID, to: Literal["sent_by_bank", "waived"], actor: str, reason: str, at: datetime
) -> tuple[Refund, bool]:
    """A refund that failed was sent by a bank transfer, or nothing is owed any more; answers it and whether that is
    news. Nothing the provider says later moves it again. Raises Conflict for one that has not failed."""
    row, paid = await lock_refund(session, refund_id)
    if row.state == to:
        return await read_refund(session, refund_id), False
    if row.state not in FINAL:
        raise Conflict(f"A refund that is {row.state} cannot be {to}.", refund=public(PREFIX, refund_id))
    if to == "sent_by_bank":
        if paid.refund_reserved + row.amount > paid.amount:
            raise RefundTooLarge("All refunds together would exceed what was paid.", paid=paid.amount)
        paid.refund_reserved += row.amount
    before, row.state, row.settled_at = row.state, to, at
    audit.record(
        session, at, "refund.moved", public(PREFIX, row.id), actor=actor, before=before, after=to, reason=reason
    )
    await session.flush()
    return await read_refund(session, refund_id), True


async def is_settled_elsewhere(session: AsyncSession, facts: RefundFacts) -> bool:
    """Whether the provider says that money went back which we hold to have gone another way, or not at all."""
    if facts.state != "succeeded":
        return False
    query = select(RefundRow.state).where(RefundRow.stripe_refund == facts.refund_id)
    return await session.scalar(query) in {*FINAL, "sent_by_bank", "waived"}


async def warn(session: AsyncSession, at: datetime) -> int:
    """Shout once at each step about refunds under way whose day is near or over (R76). Answers how many."""
    query = select(RefundRow).where(RefundRow.state.in_(UNSETTLED), _first_unsaid() <= at)
    rows = (
        await session.scalars(query.order_by(RefundRow.legal_due_on).limit(_BATCH).with_for_update(skip_locked=True))
    ).all()
    for row in rows:
        row.warned_at = at
        left = (row.legal_due_on - day_of(at)).days
        log.warning("refund_near_due", refund=public(PREFIX, row.id), days_left=left)
        audit.record(session, at, "refund.warned", public(PREFIX, row.id), days_left=left, order=row.order_id)
    return len(rows)


async def next_warning(session: AsyncSession) -> datetime | None:
    """When the next refund comes so near its day that somebody must know."""
    return await session.scalar(select(func.min(_first_unsaid())).where(RefundRow.state.in_(UNSETTLED)))


def _first_unsaid() -> Any:
    """The first step nobody was warned of: the Warsaw midnight with which so many days are left; null: none."""
    steps = [
        func.timezone(_WARSAW, cast(RefundRow.legal_due_on, DateTime(timezone=False)) - literal(timedelta(days=days)))
        for days in REFUND_WARNINGS
    ]
    return first_unsaid(steps, RefundRow.warned_at)


async def near_due(session: AsyncSession, at: datetime) -> Counter[int]:
    """How many refunds that are owed, under way or waiting for people, stand at each warning (R76, R138)."""
    near = RefundRow.legal_due_on <= day_of(at) + timedelta(days=max(REFUND_WARNINGS))
    query = select(RefundRow.legal_due_on).where(RefundRow.state.in_((*UNSETTLED, *FINAL)), near)
    levels = [warning_level(day, day_of(at)) for day in await session.scalars(query)]
    return Counter(level for level in levels if level is not None)
