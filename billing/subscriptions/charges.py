"""Charges to come: their day and price, what was told of them and agreed to, and so whether they may be (R64–R66)."""

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.rules import price_on
from billing.catalog.values import Catalogue, UnknownProduct
from billing.kernel.days import day_of
from billing.kernel.ids import new_id
from billing.subscriptions import consents
from billing.subscriptions import renewing_rules as rules
from billing.subscriptions.renewing_rules import IN_PERSON, Blocker, Charge, Consent, Invoice, Told
from billing.subscriptions.rules import LIVE
from billing.subscriptions.tables import RenewalRow, RenewalToldRow
from billing.subscriptions.wishes import renewal_id


class Upcoming(msgspec.Struct, frozen=True, kw_only=True):
    """A charge to come of which its buyer must be told. `amount` is the whole, in grosz; `needs_consent` says that the
    price is higher than what was agreed to, so that it will not be charged without a yes (R66)."""

    key: UUID
    renewal: str
    order: str
    account: str
    interval: str
    charge_at: datetime
    unit_gross: int
    amount: int
    needs_consent: bool
    told: tuple[int, ...]


def unit_due(row: RenewalRow, catalogue: Catalogue, on: date) -> int:
    """The price for one pupil of a period that begins on a day; what was agreed where nothing is on sale any more."""
    try:
        product = catalogue.product(row.product)
    except UnknownProduct:
        return row.unit_gross
    price = price_on(product.prices, None, on)
    return row.unit_gross if price is None or price.gross == 0 else price.gross


def charge_of(row: RenewalRow, catalogue: Catalogue) -> Charge | None:
    """The next charge, wanted or not; None while nothing is paid."""
    if row.charge_at is None:
        return None
    return Charge(at=row.charge_at, unit_due=unit_due(row, catalogue, day_of(row.charge_at)), interval=row.interval)


async def charges_ahead(session: AsyncSession, catalogue: Catalogue, until: datetime, limit: int) -> list[Upcoming]:
    """Charges that will be before `until`, the nearest first, whatever was told of them; `told` names the days of the
    letters already handed over at this price (R65)."""
    query = (
        select(RenewalRow)
        .where(
            RenewalRow.state.in_(LIVE), RenewalRow.is_renewal_on, RenewalRow.is_paused.is_(False),
            RenewalRow.charge_at < until, RenewalRow.account.is_not(None),
        )
        .order_by(RenewalRow.charge_at, RenewalRow.id)
        .limit(limit)
    )  # fmt: skip
    found: list[Upcoming] = []
    for row in await session.scalars(query):
        charge = charge_of(row, catalogue)
        if charge is None:
            continue
        agreed = await consent_of(session, row)
        known = [
            letter.days
            for letter in await _told(session, row)
            if (letter.charge_at, letter.unit_gross) == (charge.at, charge.unit_due)
        ]
        found.append(
            Upcoming(
                key=row.id, renewal=renewal_id(row), order=row.order_id, account=row.account or "",
                interval=row.interval, charge_at=charge.at, unit_gross=charge.unit_due,
                amount=charge.unit_due * len(row.pupils), told=tuple(sorted(known)),
                needs_consent=agreed is None or charge.unit_due > agreed.unit_gross,
            )
        )  # fmt: skip
    return found


async def told(session: AsyncSession, key: UUID, charge_at: datetime, days: int, unit_gross: int, at: datetime) -> None:
    """A letter of this charge was handed over at `at` (R65). Said again, the first time counts."""
    statement = insert(RenewalToldRow).values(
        id=new_id(at), renewal_id=key, charge_at=charge_at, days=days, unit_gross=unit_gross, handed_over_at=at
    )
    await session.execute(statement.on_conflict_do_nothing())


async def shown_in_person(session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime) -> None:
    """The page on which the buyer acts shows the next charge's day and amount: that counts as told."""
    charge = charge_of(row, catalogue)
    if charge is not None:
        await told(session, row.id, charge.at, IN_PERSON, charge.unit_due, at)


async def blocker_of(session: AsyncSession, row: RenewalRow, catalogue: Catalogue, at: datetime) -> Blocker | None:
    """Why the next charge must not be, by what is known at `at` (R65, R66)."""
    charge = charge_of(row, catalogue)
    return None if charge is None else await _blocker(session, row, charge, at)


async def was_clear(session: AsyncSession, row: RenewalRow, invoice: Invoice) -> bool:
    """Whether a charge that was made was one that might be: decided before it, or by what was known when it was."""
    if row.cleared_for == invoice.covers_from:
        return True
    charge = Charge(at=invoice.covers_from, unit_due=row.unit_gross, interval=row.interval)
    return await _blocker(session, row, charge, invoice.made_at) is None


async def _blocker(session: AsyncSession, row: RenewalRow, charge: Charge, at: datetime) -> Blocker | None:
    return rules.may_charge(charge, await _told(session, row), await consent_of(session, row), row.notice_days, at)


async def _told(session: AsyncSession, row: RenewalRow) -> Collection[Told]:
    letters = await session.scalars(select(RenewalToldRow).where(RenewalToldRow.renewal_id == row.id))
    return [
        Told(
            charge_at=letter.charge_at, days=letter.days, unit_gross=letter.unit_gross,
            handed_over_at=letter.handed_over_at,
        )
        for letter in letters
    ]  # fmt: skip


async def consent_of(session: AsyncSession, row: RenewalRow) -> Consent | None:
    """What its buyer agreed to last, for the interval it is charged at (R64)."""
    agreed = await consents.agreed(session, row.order_id, row.interval)
    return None if agreed is None else Consent(unit_gross=agreed.unit_gross, interval=agreed.interval)


def plan_guard(row: RenewalRow) -> None:
    """Decide about the next charge some days ahead of it, unless that was done, or nothing will be charged."""
    is_wanted = row.state in LIVE and row.is_renewal_on and not row.is_paused and row.charge_at is not None
    if is_wanted and row.charge_at is not None and row.cleared_for != row.charge_at:
        row.guard_at = rules.guard_at(row.charge_at)
    else:
        row.guard_at = None
