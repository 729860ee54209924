"""Beginning and ending paid rights, each with its grant in the same transaction."""

from collections.abc import Collection
from datetime import datetime
from typing import cast

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit, outbox
from billing.kernel.ids import new_id, public
from billing.subscriptions import rules
from billing.subscriptions.rules import State
from billing.subscriptions.tables import SubscriptionRow
from entitlements import service as desk
from entitlements.decision import EndReason

_OVERLAP = "subscription_no_overlap"


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """A season pass to begin for one pupil."""

    pupil: str
    account: str
    product: str
    features: tuple[str, ...]
    since: datetime
    until: datetime
    order: str


def subscription_id(row: SubscriptionRow) -> str:
    """The public id, and the origin of the grant."""
    return public("sub", row.id)


async def begin_pass(session: AsyncSession, wanted: Pass, at: datetime) -> SubscriptionRow | None:
    """The pass with its grant; None when the pupil is covered for any of that time: the database decides (I11, R49).

    Whoever begins passes of several pupils does so in the order of their names: two that meet wait, and never deadlock.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"pass:{wanted.pupil}", 0))))
    row = SubscriptionRow(
        id=new_id(at),
        kind="season_pass",
        state="active",
        pupil=wanted.pupil,
        account=wanted.account,
        product=wanted.product,
        features=list(wanted.features),
        since=wanted.since,
        until=wanted.until,
        order_id=wanted.order,
        created_at=at,
    )
    try:
        async with session.begin_nested():
            session.add(row)
            await session.flush()
    except IntegrityError as fault:
        if _OVERLAP not in str(fault.orig):
            raise
        return None
    await desk.add_grant(
        session,
        pupil=row.pupil,
        source="paid",
        origin=subscription_id(row),
        features=row.features,
        since=row.since,
        until=row.until,
        at=at,
    )
    audit.record(session, at, "subscription.begun", subscription_id(row), account=row.account, after="active")
    return row


async def end(session: AsyncSession, row: SubscriptionRow, at: datetime, to: State, reason: EndReason | None) -> None:
    """Move a right out of force at `at`; its grant ends in the same transaction (R78)."""
    before = row.state
    row.state = rules.move(row.state, to)  # pyright: ignore[reportArgumentType] - the column is checked by the database
    await desk.end_grants(session, subscription_id(row), at, reason)
    audit.record(session, at, "subscription.moved", subscription_id(row), account=row.account, before=before, after=to)
    outbox.put(session, "subscription.ended", at, subscription=subscription_id(row), pupil=row.pupil)


def is_in_force(row: SubscriptionRow, at: datetime) -> bool:
    """Whether the right still counts at `at`: it runs now, or begins later."""
    return rules.state_at(cast("State", row.state), row.until, at) in rules.ENTITLING


async def of_order(session: AsyncSession, order: str) -> list[SubscriptionRow]:
    """The rights an order gave."""
    query = select(SubscriptionRow).where(SubscriptionRow.order_id == order).order_by(SubscriptionRow.id)
    return list(await session.scalars(query))


async def of_pupils(session: AsyncSession, pupils: Collection[str]) -> list[SubscriptionRow]:
    """All rights of these pupils, newest first."""
    query = select(SubscriptionRow).where(SubscriptionRow.pupil.in_(pupils)).order_by(SubscriptionRow.id.desc())
    return list(await session.scalars(query))


async def write_down_ends(session: AsyncSession, at: datetime, limit: int) -> int:
    """Note passes that have run out. Their rights ended by date already; this only tells (R63, R131)."""
    query = (
        select(SubscriptionRow)
        .where(SubscriptionRow.state == "active", SubscriptionRow.until <= at)
        .order_by(SubscriptionRow.until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        await end(session, row, row.until, "ended", None)
    return len(rows)


async def next_end(session: AsyncSession) -> datetime | None:
    """When the next pass runs out."""
    return await session.scalar(select(func.min(SubscriptionRow.until)).where(SubscriptionRow.state == "active"))


async def forget_buyer(session: AsyncSession, account: str) -> None:
    """Take the buyer off the rights; they stay the pupils' (R88)."""
    await session.execute(update(SubscriptionRow).where(SubscriptionRow.account == account).values(account=None))
