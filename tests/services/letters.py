"""Families whose letter is due now, and what became of it."""

from datetime import date, timedelta

from billing.kernel.days import at_hour
from billing.notices.planning import plan_trial_endings
from tests.services.house import House

D = date(2026, 10, 1)
TELLING = at_hour(date(2026, 9, 21), 8)


async def states(house: House, kind: str = "trial_ending") -> list[tuple[str, str, str | None]]:
    query = "select account, state, fault from letter where kind = :kind order by created_at, account, about"
    return [tuple(row) for row in await house.rows(query, kind=kind)]


async def ready(house: House, *accounts: str) -> None:
    """A family for each account, whose letter is due now and planned."""
    for account in accounts or ("anna",):
        await house.family(account, f"{account}-p1")
    await house.advance(TELLING - timedelta(seconds=1))
    house.stand_at(TELLING)
    async with house.database.begin() as session:
        await plan_trial_endings(session, house.catalogue.trial, house.now)


async def bound(house: House, pupil: str) -> tuple[str | None, date]:
    return tuple((await house.rows("select bound_reason, reverts_on from trial where pupil = :pupil", pupil=pupil))[0])
