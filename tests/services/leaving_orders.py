"""Parents who withdraw: bought without a trial beside it, so that what ends has ended."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from billing.catalog.values import RefundPolicy
from billing.kernel.ids import public
from billing.withdrawals import withdrawing
from billing.withdrawals.withdrawing import Declared, Terms, Withdrawal
from entitlements import service as desk
from tests.services.house import House


def warsaw(day: str, utc_hour: int = 9) -> datetime:
    """A morning of a day."""
    return datetime.fromisoformat(day).replace(hour=utc_hour, tzinfo=UTC)


def terms(house: House, policy: RefundPolicy = "full") -> Terms:
    """The rules of the house, with this policy."""
    plain = withdrawing.terms_of(house.catalogue, house.services.site.secret)
    return msgspec.structs.replace(plain, policy=policy)


async def parent(house: House, account: str, *pupils: str, **person: Any) -> None:
    """A parent whose children have no trial running."""
    await house.register(account, **person)
    async with house.database.begin() as session:
        for pupil in pupils:
            await desk.put_link(session, account, pupil, None, house.now)


async def bought(house: House, day: str, *pupils: str, account: str = "anna") -> str:
    """A paid order of that day; answers its id."""
    house.stand_at(warsaw(day))
    await parent(house, account, *pupils)
    await house.buy(account, *pupils)
    return await last_order(house)


async def last_order(house: House) -> str:
    """The id of the newest order."""
    return public("ord", (await house.rows("select id from orders order by number desc limit 1"))[0][0])


def says(account: str = "anna", **changes: str) -> Declared:
    """What the buyer writes into the form."""
    base = Declared(name="Anna Żółć", contact=f"{account}@rodzice.example")
    return msgspec.structs.replace(base, **changes)


async def withdraw(house: House, order: str, told: Declared | None = None, policy: RefundPolicy = "full") -> Withdrawal:
    """The second button, pressed now."""
    async with house.database.begin() as session:
        return await withdrawing.withdraw(session, order, told or says(), terms(house, policy), house.now)


async def refunds(house: House) -> list[tuple[str, int, str]]:
    """Reason, grosz and state of every refund."""
    return [tuple(row) for row in await house.rows("select reason, amount, state from refund order by 1, 2, 3")]


async def states(house: House) -> list[tuple[str, str]]:
    """Every right and how it stands."""
    return [tuple(row) for row in await house.rows("select pupil, state from subscription order by 1, 2 desc")]


async def kinds(house: House) -> list[tuple[str, str]]:
    """Every letter and how it stands."""
    return [tuple(row) for row in await house.rows("select kind, state from letter order by kind")]
