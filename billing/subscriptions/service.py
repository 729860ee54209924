"""Beginning and ending paid rights, each with its grant in the same transaction."""

from collections.abc import Collection
from datetime import datetime
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit, outbox
from billing.kernel.ids import new_id, public
from billing.subscriptions import rules, wishes
from billing.subscriptions.rules import State
from billing.subscriptions.tables import RenewalRow, SubscriptionRow
from entitlements import service as desk
from entitlements.facts import EndReason, Source

Subscription = SubscriptionRow
"""What other rooms call a right that they are handed."""

_OVERLAP = "subscription_no_overlap"
_RUNS_OUT = and_(SubscriptionRow.state == "active", SubscriptionRow.kind != "renewing")


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """A right to begin for one pupil: a season pass, or the first period of a renewing one, with its renewal."""

    pupil: str
    account: str
    product: str
    features: tuple[str, ...]
    since: datetime
    until: datetime
    order: str
    renewal: UUID | None = None
    grace_until: datetime | None = None


def subscription_id(row: SubscriptionRow) -> str:
    """The public id, and the origin of the grant."""
    return public("sub", row.id)


async def begin_pass(session: AsyncSession, wanted: Pass, at: datetime) -> SubscriptionRow | None:
    """The pass with its grant; None when the pupil is covered for any of that time: the database decides (I11, R49).

    Whoever begins passes of several pupils does so in the order of their names: two that meet wait, and never deadlock.
    """
    await lock_pupils(session, (wanted.pupil,))
    if await covering(session, (wanted.pupil,), wanted.features, wanted.since, wanted.until):
        return None
    row = SubscriptionRow(
        id=new_id(at),
        kind="season_pass" if wanted.renewal is None else "renewing",
        state="active",
        pupil=wanted.pupil,
        account=wanted.account,
        product=wanted.product,
        features=list(wanted.features),
        since=wanted.since,
        until=wanted.until,
        order_id=wanted.order,
        renewal_id=wanted.renewal,
        is_renewal_on=wanted.renewal is not None,
        is_paused=False,
        grace_until=wanted.grace_until,
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
    await _give(session, row, "paid", row.since, row.until, at)
    if row.grace_until is not None:
        await _give(session, row, "grace", row.until, row.grace_until, at)
    audit.record(session, at, "subscription.begun", subscription_id(row), account=row.account, after="active")
    return row


async def _give(
    session: AsyncSession, row: SubscriptionRow, source: Source, since: datetime, until: datetime, at: datetime
) -> None:
    await desk.add_grant(
        session, pupil=row.pupil, source=source, origin=subscription_id(row), features=row.features, since=since,
        until=until, at=at,
    )  # fmt: skip


async def lock_pupils(session: AsyncSession, pupils: Collection[str]) -> None:
    """Nobody else begins a right of these pupils until this transaction ends; always in the order of their names."""
    for pupil in sorted(pupils):
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"pass:{pupil}", 0))))


async def covering(
    session: AsyncSession,
    pupils: Collection[str],
    features: Collection[str],
    since: datetime,
    until: datetime,
    *,
    besides: UUID | None = None,
) -> list[SubscriptionRow]:
    """The paid rights that give these pupils any of these features in any of that time, whatever product they are of
    (I11), but for those of one renewal; one that renews lasts until somebody turns that off."""
    end = func.coalesce(SubscriptionRow.grace_until, SubscriptionRow.until)
    lasts = or_(SubscriptionRow.is_renewal_on, end > since)
    query = select(SubscriptionRow).where(
        SubscriptionRow.pupil.in_(pupils),
        SubscriptionRow.state.in_(rules.LIVE),
        SubscriptionRow.features.overlap(list(features)),
        SubscriptionRow.since < until,
        lasts,
    )
    if besides is not None:
        query = query.where(SubscriptionRow.renewal_id.is_distinct_from(besides))
    return list(await session.scalars(query.order_by(SubscriptionRow.id)))


def change_state(session: AsyncSession, row: SubscriptionRow, to: State, at: datetime) -> None:
    """Move a right between states in which it is not over; its grants stay."""
    before = row.state
    row.state = rules.move(cast("State", before), to)
    audit.record(session, at, "subscription.moved", subscription_id(row), account=row.account, before=before, after=to)


async def end(session: AsyncSession, row: SubscriptionRow, at: datetime, to: State, reason: EndReason | None) -> None:
    """Move a right out of force at `at`; its grant ends in the same transaction (R78)."""
    before = row.state
    row.state = rules.move(row.state, to)  # pyright: ignore[reportArgumentType] - the column is checked by the database
    row.ended_at = at
    await desk.end_grants(session, subscription_id(row), at, reason)
    audit.record(session, at, "subscription.moved", subscription_id(row), account=row.account, before=before, after=to)
    outbox.put(session, "subscription.ended", at, subscription=subscription_id(row), pupil=row.pupil)
    if row.renewal_id is not None:
        await wishes.right_ended(session, row, to, at)


def is_in_force(row: SubscriptionRow, at: datetime) -> bool:
    """Whether the right still counts at `at`: it runs now, or begins later."""
    return state_at(row, at) in rules.ENTITLING


def state_at(row: SubscriptionRow, at: datetime) -> State:
    """The state at an instant, written down or not: past what is paid, a right is past due while it has grace, and
    then it has ended (R131)."""
    state = cast("State", row.state)
    if state in rules.ENTITLING and row.grace_until is not None and row.until <= at < row.grace_until:
        return "past_due"
    return rules.state_at(state, row.until, at)


async def of_order(session: AsyncSession, order: str, *, lock: bool = False) -> list[SubscriptionRow]:
    """The rights an order gave; locked until the transaction ends, if asked."""
    query = select(SubscriptionRow).where(SubscriptionRow.order_id == order).order_by(SubscriptionRow.id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def of_pupils(session: AsyncSession, pupils: Collection[str]) -> list[SubscriptionRow]:
    """All rights of these pupils, newest first."""
    query = select(SubscriptionRow).where(SubscriptionRow.pupil.in_(pupils)).order_by(SubscriptionRow.id.desc())
    return list(await session.scalars(query))


async def write_down_ends(session: AsyncSession, at: datetime, limit: int) -> int:
    """Note passes that have run out. Their rights ended by date already; this only tells (R63, R131). What renews is
    looked after by its renewal."""
    query = (
        select(SubscriptionRow)
        .where(_RUNS_OUT, SubscriptionRow.until <= at)
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
    return await session.scalar(select(func.min(SubscriptionRow.until)).where(_RUNS_OUT))


async def forget_buyer(session: AsyncSession, account: str, at: datetime) -> None:
    """Take the buyer off the rights; they stay the pupils' to the end of what is paid, and renew no more (R88)."""
    await session.execute(update(SubscriptionRow).where(SubscriptionRow.account == account).values(account=None))
    query = select(RenewalRow).where(RenewalRow.account == account).with_for_update()
    for row in await session.scalars(query):
        wishes.switch_off(session, row, at, "erased")
        row.account = None
