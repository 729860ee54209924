"""What is wanted of the provider for a renewing subscription: written down first, brought there after by the work
`renewals.push`, again and again until it is so."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit, outbox
from billing.kernel.db import wake
from billing.kernel.errors import Conflict
from billing.kernel.ids import public
from billing.subscriptions.renewing_rules import MOVES, OffReason, RenewalState
from billing.subscriptions.rules import OVER
from billing.subscriptions.tables import RenewalRow, SubscriptionRow

PREFIX = "rnw"
PUSH = "renewals.push"


def renewal_id(row: RenewalRow) -> str:
    """The public id."""
    return public(PREFIX, row.id)


def want(session: AsyncSession, row: RenewalRow, at: datetime) -> None:
    """Something else is wanted from now on; whoever is bringing the old wish there must not say it is done."""
    row.revision += 1
    row.push_at, row.tries = at, 0
    wake(session, (PUSH,))


def move(session: AsyncSession, row: RenewalRow, to: RenewalState, at: datetime, *, reason: str | None = None) -> None:
    """Take the renewal along an edge of the published table; one audit row (I17)."""
    before = cast("RenewalState", row.state)
    if (before, to) not in MOVES:
        raise Conflict(f"A renewal cannot go from {before} to {to}.", code="conflict")
    row.state = to
    if to in OVER:
        row.ended_at, row.check_at, row.guard_at = at, None, None
    audit.record(
        session, at, "renewal.moved", renewal_id(row), account=row.account, before=before, after=to, reason=reason
    )


def switch_off(
    session: AsyncSession, row: RenewalRow, at: datetime, reason: OffReason, *, actor: str = audit.SYSTEM
) -> None:
    """It shall not be charged again. Told again, the first reason stays."""
    if row.is_renewal_on:
        row.is_renewal_on, row.off_reason, row.off_at, row.guard_at = False, reason, at, None
        audit.record(
            session, at, "renewal.turned_off", renewal_id(row), actor=actor, account=row.account, reason=reason
        )
        want(session, row, at)


def turned_on(session: AsyncSession, row: RenewalRow, at: datetime, *, actor: str) -> None:
    """It shall be charged again."""
    row.is_renewal_on, row.off_reason, row.off_at = True, None, None
    done(session, row, "renewal.turned_on", at, actor=actor)


def done(session: AsyncSession, row: RenewalRow, kind: str, at: datetime, *, actor: str) -> None:
    """Somebody changed what is wanted, as the row now says: on record, to be brought there, and told of in a letter."""
    audit.record(session, at, kind, renewal_id(row), actor=actor, account=row.account)
    want(session, row, at)
    say(session, row, kind, at)


async def right_ended(session: AsyncSession, right: SubscriptionRow, to: RenewalState, at: datetime) -> None:
    """One pupil's right is over: it is charged for no more, and after the last one the whole renewal is over as it."""
    row = await lock(session, cast("UUID", right.renewal_id))
    right.is_renewal_on, right.grace_until = False, None
    row.pupils = [pupil for pupil in row.pupils if pupil != right.pupil]
    if row.pupils or row.state in OVER:
        want(session, row, at)
        return
    move(session, row, to, at)
    row.past_due_since = row.grace_on = row.grace_until = None
    if row.is_renewal_on:
        switch_off(session, row, at, "over")
    else:
        want(session, row, at)


async def lock(session: AsyncSession, key: UUID) -> RenewalRow:
    """The renewal, locked until the transaction ends."""
    await session.flush()
    return await session.get_one(RenewalRow, key, with_for_update=True, populate_existing=True)


async def rights_of(session: AsyncSession, row: RenewalRow) -> list[SubscriptionRow]:
    """The rights of a renewal that are not over, locked, in the order of the pupils' names."""
    query = select(SubscriptionRow).where(SubscriptionRow.renewal_id == row.id, SubscriptionRow.state.not_in(OVER))
    found = await session.scalars(query.with_for_update().execution_options(populate_existing=True))
    return sorted(found, key=lambda right: right.pupil)


def say(session: AsyncSession, row: RenewalRow, kind: str, at: datetime, **facts: Any) -> None:
    """Tell whoever writes letters."""
    outbox.put(session, kind, at, renewal=renewal_id(row), order=row.order_id, account=row.account, **facts)
