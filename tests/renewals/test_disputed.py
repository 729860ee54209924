"""Disputes about what renews: money without a right is what the cut periods cost, each at its own price (R60, I12)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.sandbox.stripe.disputes import close, open_dispute
from tests.histories.direct import books_of
from tests.renewals.conftest import opened
from tests.renewals.house import RenewingHouse, catalogue_file

SECOND_MONTH = datetime(2026, 10, 9, tzinfo=UTC)
OLD, NEW = 599, 600


@pytest.fixture
async def dearer(database_url: str, tmp_path: Path) -> AsyncIterator[RenewingHouse]:
    """In its second month, which costs a grosz more than the first."""
    async with opened(database_url, tmp_path, catalogue_file(tmp_path, dearer_from="2026-10-01")) as house:
        await house.family("anna", "ola")
        await house.subscribe("anna", "ola")
        await house.live_until(datetime(2026, 9, 25, tzinfo=UTC))
        await house.agree(NEW, 0)
        await house.live_until(SECOND_MONTH)
        yield house


async def argue(house: RenewingHouse, amount: int, *, is_won: bool) -> None:
    """The bank decides about the charge of so much, or thinks again."""
    name = await house.one("select stripe_charge from payment where amount = :amount", amount=amount)
    books = books_of(house.world.standin)
    with books.store.transaction():
        (charge,) = (each for each in books.store.all_of("charge") if each["id"] == name)
        known = books.store.all_of("dispute")
        close(books, known[0] if known else open_dispute(books, charge), won=is_won)
    await house.live_until(house.now + timedelta(hours=1))


async def stray(house: RenewingHouse) -> list[int]:
    """What staff are asked to decide about, in grosz."""
    query = "select facts from finance_case where kind = 'stray_money' and state = 'open'"
    return [row.facts["amount"] for row in await house.rows(query)]


async def test_i12_a_month_that_was_served_is_no_stray_money_when_the_next_is_lost_and_won(
    dearer: RenewingHouse,
) -> None:
    await argue(dearer, NEW, is_won=False)
    assert await dearer.states() == [("ola", "disputed")]
    assert await stray(dearer) == [], "the first month was served, and the second went back"
    await argue(dearer, NEW, is_won=True)
    assert await stray(dearer) == [NEW], "what the disputed charge itself took, and no other"


async def test_i12_the_month_that_a_loss_of_an_older_charge_cut_is_shown_to_staff(dearer: RenewingHouse) -> None:
    await argue(dearer, OLD, is_won=False)
    assert await dearer.states() == [("ola", "disputed")]
    assert await stray(dearer) == [NEW]
    await argue(dearer, OLD, is_won=True)
    assert await stray(dearer) == [NEW], "the first month was served, so the money that came back is earned"
