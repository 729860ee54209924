"""Renewing subscriptions, for the rooms above: what a person may do with one, and what must be told of it.

Nothing here calls the provider. Each act writes down what is wanted; the work `renewals.push` brings it there, again
and again until it is, and the row says at once how it will be. What costs money at once (another interval, a pupil
more) is in `billing/checkout/changing.py`; what must be told before a charge, and whether it may be, in `charges.py`;
what the provider tells is judged in `billing/checkout/renewing.py`.

Messages for letters, each with facts `renewal` (rnw_…), `order`, `account`: `renewal.turned_off` (reason),
`renewal.turned_on`, `renewal.paused`, `renewal.resumed`, `renewal.renewed` (invoice, amount), `renewal.payment_failed`
(invoice, grace_on), `renewal.recovered` (invoice), `renewal.changed` (amount), `renewal.ended` (reason).
"""

from datetime import UTC, date, datetime
from typing import cast

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue
from billing.kernel import audit
from billing.kernel.errors import Conflict, NotFound
from billing.kernel.ids import parse
from billing.subscriptions import charges, periods, service, wishes
from billing.subscriptions.renewing_rules import OffReason, RenewalState, Standing
from billing.subscriptions.rules import LIVE, OVER, can_be_changed, will_renew
from billing.subscriptions.tables import RenewalRow
from billing.subscriptions.wishes import PREFIX, renewal_id, say

_WILFUL: tuple[OffReason, ...] = ("asked", "at_provider", "no_consent", "no_notice")
"""Reasons after which the buyer may want it back."""


_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


class UnknownRenewal(NotFound):
    """There is no such renewing subscription."""


class CannotChange(Conflict):
    """It is not in a state in which its buyer may do that."""


class RenewalView(msgspec.Struct, frozen=True, kw_only=True):
    """What a page or a letter says of a renewing subscription. Money in grosz, for all pupils together but `next_unit`.

    `paid_until` is the end of what is paid; `next_charge_at` and `next_amount` are null where nothing will be charged.
    `needs_consent` is the higher price for one pupil that waits for a yes. `reason` says why renewal is off.
    """

    renewal: str
    order: str
    product_name: str
    interval: str
    pupils: int
    state: RenewalState
    paid_until: datetime | None
    will_renew: bool
    reason: OffReason | None
    is_paused: bool
    grace_on: date | None
    next_charge_at: datetime | None
    next_unit: int | None
    next_amount: int | None
    needs_consent: int | None
    may_turn_off: bool
    may_turn_on: bool
    may_pause: bool
    may_resume: bool
    may_change: bool


# Finding


async def find(session: AsyncSession, renewal: str, *, lock: bool = False) -> RenewalRow:
    """The renewal of a public id. Raises UnknownRenewal."""
    row = await session.get(RenewalRow, parse(PREFIX, renewal), with_for_update=lock, populate_existing=lock)
    if row is None:
        raise UnknownRenewal("There is no such renewing subscription.")
    return row


async def of_order(session: AsyncSession, order: str, *, lock: bool = False) -> RenewalRow | None:
    """The renewal an order (`ord_…`) agreed to; None for an order that is paid once. Of two, the one that was paid."""
    query = select(RenewalRow).where(RenewalRow.order_id == order)
    query = query.order_by(RenewalRow.period_end.nulls_last(), RenewalRow.id).limit(1)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def unbound_of_order(session: AsyncSession, order: str) -> RenewalRow:
    """The one renewal of an order that has no subscription at the provider yet."""
    query = select(RenewalRow).where(RenewalRow.order_id == order, RenewalRow.provider_id.is_(None))
    return (await session.scalars(query.with_for_update())).one()


async def of_account(session: AsyncSession, account: str) -> list[RenewalRow]:
    """The account's renewals that were ever paid, newest first."""
    query = select(RenewalRow).where(RenewalRow.account == account, RenewalRow.period_end.is_not(None))
    return list(await session.scalars(query.order_by(RenewalRow.id.desc())))


async def of_provider(session: AsyncSession, subscription_id: str) -> RenewalRow | None:
    """The renewal that the provider calls so."""
    return await session.scalar(select(RenewalRow).where(RenewalRow.provider_id == subscription_id))


# Showing


async def view(session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime) -> RenewalView:
    """What a page shows. Changes nothing."""
    stands = await periods.standing_of(session, row, at)
    state = stands.state
    charge = charges.charge_of(row, catalogue)
    agreed = await charges.consent_of(session, row)
    is_live = state in LIVE
    renews = state != "new" and will_renew("renewing", state, is_renewal_on=row.is_renewal_on, is_paused=row.is_paused)
    is_dearer = charge is not None and (agreed is None or charge.unit_due > agreed.unit_gross)
    may = may_be_changed(stands, at)
    return RenewalView(
        renewal=renewal_id(row),
        order=row.order_id,
        product_name=row.product_name,
        interval=row.interval,
        pupils=len(row.pupils),
        state=state,
        paid_until=row.period_end,
        will_renew=renews,
        reason=cast("OffReason | None", row.off_reason),
        is_paused=row.is_paused,
        grace_on=stands.grace_on if state == "past_due" else None,
        next_charge_at=charge.at if charge is not None and renews else None,
        next_unit=charge.unit_due if charge is not None and renews else None,
        next_amount=charge.unit_due * len(row.pupils) if charge is not None and renews else None,
        needs_consent=charge.unit_due if charge is not None and is_dearer and is_live else None,
        may_turn_off=is_live and row.is_renewal_on,
        may_turn_on=may and not row.is_renewal_on and row.off_reason in _WILFUL,
        may_pause=may and row.is_renewal_on and not row.is_paused and state == "active",
        may_resume=is_live and row.is_paused and row.is_renewal_on,
        may_change=may and row.is_renewal_on and not row.is_paused and state == "active",
    )


def may_be_changed(stands: Standing, at: datetime) -> bool:
    """Whether its buyer may change it at all now."""
    lapses = stands.lapses_at
    return stands.state != "new" and lapses is not None and can_be_changed("renewing", stands.state, lapses, at)


# Acts


async def turn_off(
    session: AsyncSession, row: RenewalRow, at: datetime, *, actor: str = audit.SYSTEM, reason: OffReason = "asked"
) -> None:
    """Charge no more; the right stays to the end of what is paid (R67). `row` must be locked; done again, it changes
    nothing. Raises CannotChange for what is over or was never paid."""
    if row.state == "new" or row.state in OVER:
        raise CannotChange("There is nothing to turn off.", state=row.state)
    if row.is_renewal_on:
        wishes.switch_off(session, row, at, reason, actor=actor)
        say(session, row, "renewal.turned_off", at, reason=reason)
        await periods.settle(session, row, at)


async def turn_on(
    session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime, *, actor: str = audit.SYSTEM
) -> None:
    """Take the turning off back, having been shown the next charge. Raises CannotChange when it is too late for that,
    or the next charge needs a consent first."""
    if row.is_renewal_on:
        return
    if not (await view(session, row, catalogue, at)).may_turn_on:
        raise CannotChange("It cannot be turned on again.", state=row.state, reason=row.off_reason)
    if await _is_covered_after(session, row):
        raise CannotChange("Another right follows.", reason="covered")
    await charges.shown_in_person(session, row, catalogue, at)
    if await charges.blocker_of(session, row, catalogue, at) is not None:
        raise CannotChange("The price of the next period needs a consent.", reason="no_consent")
    wishes.turned_on(session, row, at, actor=actor)
    await periods.settle(session, row, at)


async def _is_covered_after(session: AsyncSession, row: RenewalRow) -> bool:
    """Whether another right begins after what is paid: renewing would pay for the same time twice (I11)."""
    await service.lock_pupils(session, row.pupils)
    after = row.period_end or row.created_at
    return bool(await service.covering(session, row.pupils, row.features, after, _FOR_EVER, besides=row.id))


async def pause(
    session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime, *, actor: str = audit.SYSTEM
) -> None:
    """From the end of what is paid on, charge nothing and give nothing, until resumed. Raises CannotChange."""
    if row.is_paused:
        return
    if not (await view(session, row, catalogue, at)).may_pause:
        raise CannotChange("It cannot be paused now.", state=row.state)
    row.is_paused, row.paused_at, row.guard_at = True, at, None
    wishes.done(session, row, "renewal.paused", at, actor=actor)
    await periods.settle(session, row, at)


async def resume(
    session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime, *, actor: str = audit.SYSTEM
) -> None:
    """Charge again from the next charge day on, having been shown that charge. Raises CannotChange."""
    if not row.is_paused:
        return
    if not (await view(session, row, catalogue, at)).may_resume:
        raise CannotChange("It cannot be resumed now.", state=row.state)
    row.is_paused, row.paused_at = False, None
    await charges.shown_in_person(session, row, catalogue, at)
    wishes.done(session, row, "renewal.resumed", at, actor=actor)
    await periods.settle(session, row, at)


async def agreed_again(
    session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime, *, actor: str = audit.SYSTEM
) -> None:
    """A consent to the next price has just been kept (`consents.agree`): the charge was shown with it, and renewal is
    on again where only the price had turned it off (R66)."""
    await charges.shown_in_person(session, row, catalogue, at)
    if not row.is_renewal_on and row.off_reason == "no_consent":
        await turn_on(session, row, catalogue, at, actor=actor)


async def decide(session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime) -> None:
    """Whether the next charge may be: else renewal is off, for a reason that is kept (R65, R66). A price agreed to is
    from then on the price. `row` must be locked."""
    charge = charges.charge_of(row, catalogue)
    row.guard_at = None
    if charge is None or not row.is_renewal_on or row.is_paused or row.state in OVER:
        return
    blocker = await charges.blocker_of(session, row, catalogue, at)
    if blocker is not None:
        await turn_off(session, row, at, reason=blocker)
        return
    row.cleared_for = charge.at
    audit.record(session, at, "renewal.cleared", renewal_id(row), account=row.account, unit_gross=charge.unit_due)
    if charge.unit_due != row.unit_gross:
        row.unit_gross = charge.unit_due
        wishes.want(session, row, at)
