"""Withdrawing from what renews: its rights are priced by the money that is left of all charges (R73, R74, I12)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.checkout.changing import Change
from billing.invariants import service as invariants
from tests.renewals.house import RenewingHouse
from tests.renewals.test_interval import MONTH, amounts, begun, books_agree, make, preview
from tests.renewing.selling import YEARLY
from tests.services.leaving_orders import last_order, refunds, withdraw
from tests.services.test_withdrawal_people import enter

FOURTEENTH = datetime(2026, 9, 14, 9, tzinfo=UTC)
AFTER_SECOND_CHARGE = datetime(2026, 10, 6, 9, tzinfo=UTC)


async def ends_clean(house: RenewingHouse) -> None:
    """All has arrived, the subscription is over at Stripe, and neither the books nor the audit miss anything."""
    await house.settle()
    assert {state for _, state in await house.states()} == {"withdrawn"}
    assert (await house.subscription()).status == "canceled"
    await books_agree(house)
    settled = house.now + timedelta(seconds=1)
    async with house.database.begin() as session:
        assert invariants.broken(await invariants.ask(session, house.now, settled=settled)) == ()


async def changed_to_a_year(house: RenewingHouse, *pupils: str) -> int:
    """Bought by the month on the first, by the year since the eleventh; answers all that was charged."""
    await begun(house, *pupils)
    assert await make(house, await preview(house, Change(product=YEARLY))) == "done"
    await house.live_until(FOURTEENTH)
    return sum(await amounts(house))


async def test_r74_i12_of_months_in_their_first_days_all_goes_back(house: RenewingHouse) -> None:
    await begun(house, "ola")
    taken = await withdraw(house, await last_order(house))
    assert (taken.state, taken.refund, taken.kept) == ("accepted", MONTH, 0)
    await ends_clean(house)
    assert await refunds(house) == [("withdrawal", MONTH, "succeeded")]


@pytest.mark.parametrize("pupils", [("ola",), ("ewa", "jan", "ola")])
async def test_r74_i12_after_a_change_to_a_year_all_that_was_charged_goes_back(
    house: RenewingHouse, pupils: tuple[str, ...]
) -> None:
    paid = await changed_to_a_year(house, *pupils)
    order = await last_order(house)
    taken = await withdraw(house, order)
    assert (taken.state, taken.refund, taken.kept) == ("accepted", paid, 0)
    assert (await withdraw(house, order)).refund == paid, "pressed again, it tells the same"
    await ends_clean(house)
    assert sorted(amount for _, amount, _ in await refunds(house)) == sorted(await amounts(house))
    letter = next(each for each in house.letters("anna") if "14 września 2026 r." in (each.text or ""))
    assert f"{paid // 100},{paid % 100:02}" in (letter.text or "").replace("\N{NO-BREAK SPACE}", "")


async def test_r74_in_proportion_the_days_used_of_all_that_was_charged_are_kept(house: RenewingHouse) -> None:
    paid = await changed_to_a_year(house, "ola")
    taken = await withdraw(house, await last_order(house), policy="prorata")
    sold, used = (date(2027, 9, 11) - date(2026, 9, 1)).days + 1, 14
    assert (taken.kept, taken.refund) == (paid * used // sold, paid - paid * used // sold)
    await ends_clean(house)


async def test_r74_a_pupil_added_later_has_used_fewer_days(house: RenewingHouse) -> None:
    await begun(house, "ola")
    assert await make(house, await preview(house, Change(pupil="jan")), None) == "done"
    await house.live_until(FOURTEENTH)
    paid, days, used = sum(await amounts(house)), 31 + 21, 14 + 4
    taken = await withdraw(house, await last_order(house), policy="prorata")
    assert taken.kept + taken.refund == paid
    assert paid * used // days - 1 <= taken.kept <= paid * used // days
    await ends_clean(house)


async def test_r73_i12_a_letter_entered_after_the_second_charge_brings_both_back(house: RenewingHouse) -> None:
    await begun(house, "ola")
    await house.live_until(AFTER_SECOND_CHARGE)
    assert await amounts(house) == [MONTH, MONTH]
    taken = await enter(house, await last_order(house), FOURTEENTH.date())
    assert (taken.state, taken.refund, taken.kept) == ("accepted", 2 * MONTH, 0)
    await ends_clean(house)
    assert await refunds(house) == [("withdrawal", MONTH, "succeeded")] * 2
