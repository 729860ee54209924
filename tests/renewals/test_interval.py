"""Another interval of the same: charged to the grosz as it was shown, or not changed at all (R64, R66, R85, I16)."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.checkout import changing
from billing.checkout.changing import Change, Shown, Yes
from billing.kernel.errors import NotFound
from billing.payments.facts import ProviderUnknown
from billing.subscriptions.renewing import CannotChange, renewal_id
from tests.renewals.house import RenewingHouse
from tests.renewing.selling import MONTHLY, YEARLY

MONTH, YEAR = 599, 4999
ELEVENTH = datetime(2026, 9, 11, 15, 7, 3, tzinfo=UTC)
YES = Yes(text_hash="y" * 64, version="2026-11", locale="pl")


async def charged(house: RenewingHouse) -> int:
    return sum(int(charge["amount"]) for charge in house.world.standin._store.all_of("charge") if charge["captured"])


async def preview(house: RenewingHouse, change: Change) -> Shown:
    name = renewal_id(await house.row())
    return await changing.preview(house.database, house.services.gateway, house.catalogue, name, change, house.now)


async def make(house: RenewingHouse, shown: Shown, yes: Yes | None = YES) -> str:
    return await changing.make_change(house.database, house.services.gateway, shown.key, house.now, yes)


async def amounts(house: RenewingHouse) -> list[int]:
    return [row.amount for row in await house.rows("select amount from payment order by captured_at, id")]


async def books_agree(house: RenewingHouse) -> None:
    """What Stripe has charged is what was paid and sold, and each account of the day's books sums to nothing."""
    assert await charged(house) == sum(await amounts(house))
    assert await house.one("select coalesce(sum(gross), 0) from ledger_sale") == await charged(house)
    assert await house.one("select coalesce(sum(amount), 0) from ledger_line") == 0


async def begun(house: RenewingHouse, *pupils: str, product: str = MONTHLY, at: datetime = ELEVENTH) -> None:
    await house.family("anna", *pupils, "jan")
    await house.subscribe("anna", *pupils, product=product)
    await house.live_until(at)


@pytest.mark.parametrize("pupils", [("ola",), ("ewa", "ola")])
async def test_i16_a_year_instead_of_months_costs_what_was_shown_and_is_charged_once(
    house: RenewingHouse, pupils: tuple[str, ...]
) -> None:
    await begun(house, *pupils)
    shown = await preview(house, Change(product=YEARLY))
    assert (shown.unit_gross, shown.quantity, shown.interval) == (YEAR, len(pupils), "year")
    assert (YEAR - MONTH) * len(pupils) < shown.amount < YEAR * len(pupils)
    before = await charged(house)
    house.stand_at(house.now + timedelta(minutes=29))
    assert await make(house, shown) == "done"
    assert await charged(house) - before == shown.amount
    await house.settle()
    assert await make(house, shown) == "done"
    assert await charged(house) - before == shown.amount
    row = await house.row()
    assert (row.product, row.interval, row.unit_gross, row.state) == (YEARLY, "year", YEAR, "active")
    end = house.now.replace(year=2027)
    assert row.period_end == row.charge_at == end
    assert set(await house.states()) == {(pupil, "active") for pupil in pupils}
    for pupil in pupils:
        assert (await house.answer("anna", pupil, end - timedelta(seconds=1))).reason == "paid"
    assert (await house.row()).push_at is None
    assert await house.one("select count(*) from refund") == 0
    await books_agree(house)


async def test_r64_r65_the_year_that_follows_a_change_is_told_of_and_charged_at_the_price_agreed_to(
    house: RenewingHouse,
) -> None:
    await begun(house, "ola")
    shown = await preview(house, Change(product=YEARLY))
    assert await make(house, shown) == "done"
    seen = await house.view()
    assert (seen.interval, seen.next_amount, seen.needs_consent) == ("year", YEAR, None)
    await house.live_until(ELEVENTH.replace(year=2027) + timedelta(hours=3))
    row = await house.row()
    assert (row.state, row.period_end) == ("active", ELEVENTH.replace(year=2028))
    assert await amounts(house) == [MONTH, shown.amount, YEAR]
    agreed = await house.rows("select unit_gross, interval, text_hash, channel from renewal_consent order by id")
    assert [tuple(row) for row in agreed] == [
        (MONTH, "month", "r" * 64, "order_page"), (YEAR, "year", "y" * 64, "renewal_page"),
    ]  # fmt: skip
    await books_agree(house)


async def test_r64_another_interval_without_its_own_consent_is_not_made(house: RenewingHouse) -> None:
    await begun(house, "ola")
    shown = await preview(house, Change(product=YEARLY))
    with pytest.raises(CannotChange) as refused:
        await make(house, shown, None)
    assert refused.value.facts["reason"] == "no_consent"
    assert await amounts(house) == [MONTH]
    assert await make(house, shown) == "done"


async def test_r64_a_change_the_bank_refused_changes_nothing_and_the_months_go_on(house: RenewingHouse) -> None:
    await begun(house, "ola")
    shown = await preview(house, Change(product=YEARLY))
    await house.outcome("declined")
    assert await make(house, shown) == "refused"
    assert await make(house, shown) == "refused"
    await house.settle()
    row = await house.row()
    assert (row.product, row.interval, row.unit_gross, row.state) == (MONTHLY, "month", MONTH, "active")
    assert await amounts(house) == [MONTH]
    await house.outcome("succeeded")
    assert row.period_end is not None
    await house.live_until(row.period_end + timedelta(hours=3))
    assert await amounts(house) == [MONTH, MONTH]
    again = await preview(house, Change(product=YEARLY))
    assert await make(house, again) == "done"
    await books_agree(house)


async def test_i16_a_pupil_more_after_the_change_is_counted_by_the_year_and_charged_as_shown(
    house: RenewingHouse,
) -> None:
    await begun(house, "ola")
    assert await make(house, await preview(house, Change(product=YEARLY))) == "done"
    await house.live_until(ELEVENTH.replace(month=12))
    shown = await preview(house, Change(pupil="jan"))
    assert (shown.unit_gross, shown.quantity) == (YEAR, 2)
    assert YEAR * 2 // 3 < shown.amount < YEAR * 4 // 5
    before = await charged(house)
    assert await make(house, shown, None) == "done"
    assert await charged(house) - before == shown.amount
    assert (await house.answer("anna", "jan")).reason == "paid"
    await house.live_until(ELEVENTH.replace(year=2027) + timedelta(hours=3))
    assert (await amounts(house))[-1] == 2 * YEAR
    await books_agree(house)


async def test_i16_a_pupil_more_before_the_change_is_counted_in_it(house: RenewingHouse) -> None:
    await begun(house, "ola")
    first = await preview(house, Change(pupil="jan"))
    assert await make(house, first, None) == "done"
    house.stand_at(house.now + timedelta(days=3, seconds=11))
    await house.settle()
    shown = await preview(house, Change(product=YEARLY))
    assert shown.quantity == 2
    before = await charged(house)
    assert await make(house, shown) == "done"
    assert await charged(house) - before == shown.amount
    assert (await amounts(house)) == [MONTH, first.amount, shown.amount]
    assert (await house.row()).pupils == ["jan", "ola"]
    await books_agree(house)


async def test_months_instead_of_a_year_would_owe_money_and_can_be_had_in_its_last_days(house: RenewingHouse) -> None:
    end = datetime(2027, 9, 1, 8, tzinfo=UTC)
    await begun(house, "ola", product=YEARLY)
    with pytest.raises(CannotChange):
        await preview(house, Change(product=MONTHLY))
    await house.live_until(end - timedelta(days=5))
    shown = await preview(house, Change(product=MONTHLY))
    assert 0 < shown.amount < MONTH
    before = await charged(house)
    assert await make(house, shown) == "done"
    assert await charged(house) - before == shown.amount
    row = await house.row()
    assert row.period_end is not None
    assert (row.interval, row.unit_gross) == ("month", MONTH)
    assert row.period_end == row.charge_at == (end - timedelta(days=5)).replace(month=9, day=27)
    await house.live_until(row.period_end + timedelta(hours=3))
    assert (await amounts(house)) == [YEAR, shown.amount, MONTH]
    await books_agree(house)


@pytest.mark.parametrize("fault", ["timeout_after", "timeout_before", "error_500"])
async def test_f33_a_change_accepted_while_stripe_is_away_is_made_by_itself_and_charged_once(
    house: RenewingHouse, fault: str
) -> None:
    await begun(house, "ola")
    shown = await preview(house, Change(product=YEARLY))
    before = await charged(house)
    await house.world.control("faults", {"api": fault})
    with pytest.raises(ProviderUnknown):
        await make(house, shown)
    await house.world.control("faults", {"api": "normal"})
    await house.advance(house.now + timedelta(minutes=40))
    assert await charged(house) - before == shown.amount
    assert await make(house, shown) == "done"
    row = await house.row()
    assert (row.interval, row.period_end) == ("year", ELEVENTH.replace(year=2027))
    assert await house.one("select count(*) from provider_intent where state in ('new', 'unknown')") == 0
    await books_agree(house)


async def test_a_change_shown_too_long_ago_or_to_what_it_is_already_or_of_nobody_is_refused(
    house: RenewingHouse,
) -> None:
    await begun(house, "ola")
    shown = await preview(house, Change(product=YEARLY))
    for wrong in (Change(), Change(product=MONTHLY), Change(pupil="jan", product=YEARLY), Change(pupil="ola")):
        with pytest.raises(CannotChange):
            await preview(house, wrong)
    with pytest.raises(NotFound):
        await preview(house, Change(product="no-such-product"))
    house.stand_at(house.now + timedelta(minutes=30, seconds=1))
    with pytest.raises(CannotChange):
        await make(house, shown)
    assert await amounts(house) == [MONTH]


async def test_of_two_changes_shown_at_once_the_second_is_counted_again(house: RenewingHouse) -> None:
    await begun(house, "ola")
    pupil, year = await preview(house, Change(pupil="jan")), await preview(house, Change(product=YEARLY))
    assert await make(house, pupil, None) == "done"
    with pytest.raises(CannotChange):
        await make(house, year)
    fresh = await preview(house, Change(product=YEARLY))
    before = await charged(house)
    assert await make(house, fresh) == "done"
    assert await charged(house) - before == fresh.amount
    await books_agree(house)
