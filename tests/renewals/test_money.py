"""Money of renewing subscriptions that comes late, twice, dearer or for more (R49, R57, R66, R68, I11 to I16)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from billing.checkout import changing
from billing.checkout.changing import Change
from billing.payments.facts import ProviderUnknown
from billing.subscriptions import renewing
from billing.subscriptions.renewing import CannotChange, renewal_id
from tests.renewals.conftest import opened
from tests.renewals.house import RenewingHouse, catalogue_file

FIRST_END = datetime(2026, 10, 1, 8, tzinfo=UTC)
SECOND_END = datetime(2026, 11, 1, 8, tzinfo=UTC)


async def refunds(house: RenewingHouse) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await house.rows("select reason, amount, state from refund order by created_at")]


async def charged(house: RenewingHouse) -> int:
    return sum(int(charge["amount"]) for charge in house.world.standin._store.all_of("charge") if charge["captured"])


async def test_r66_a_grosz_more_needs_a_yes_and_without_it_nothing_is_charged(
    database_url: str, tmp_path: Path
) -> None:
    catalogue = catalogue_file(tmp_path, dearer_from="2026-10-01")
    async with opened(database_url, tmp_path, catalogue) as house:
        await house.family("anna", "ola")
        await house.family("ewa", "jan")
        await house.subscribe("anna", "ola")
        await house.subscribe("ewa", "jan")
        await house.live_until(datetime(2026, 9, 25, tzinfo=UTC))
        assert (await house.view(0)).needs_consent == 600
        await house.agree(600, 1)
        await house.live_until(FIRST_END + timedelta(days=2))
        refused, agreed = await house.row(0), await house.row(1)
        assert (refused.state, refused.off_reason, agreed.state, agreed.unit_gross) == (
            "ended", "no_consent", "active", 600,
        )  # fmt: skip
        assert sorted([row[0] for row in await house.rows("select amount from payment")]) == [599, 599, 600]
        assert (await refunds(house)) == []


async def test_r57_i04_an_invoice_paid_after_the_cancellation_goes_back_at_once(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.live_until(FIRST_END - timedelta(days=2))
    name = renewal_id(await house.row())
    async with house.database.begin() as session:
        row = await renewing.find(session, name, lock=True)
        await renewing.turn_off(session, row, house.now, actor="buyer")
    await house.advance(FIRST_END + timedelta(hours=2), without={"renewals.push"})
    row = await house.row()
    assert (row.state, row.period_end) == ("ended", FIRST_END)
    assert not (await house.answer("anna", "ola")).allowed
    await house.settle()
    assert (await refunds(house)) == [("late", 599, "succeeded")]
    assert (await house.subscription()).status == "canceled"
    assert await house.one("select sum(amount) from ledger_line where account = 'refunds_payable'") == 0


async def test_r49_i11_a_covered_pupil_is_refused_before_payment_or_the_money_goes_back(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    open_page = await house.begin(await house.token("anna", "ola"))
    await house.family("ewa", "ola")
    await house.buy("ewa", "ola")
    await house.pay(open_page, "card")
    await house.settle()
    row = await house.row()
    assert (row.state, row.off_reason) == ("ended", "covered")
    assert (await refunds(house)) == [("duplicate", 599, "succeeded")]
    assert (await house.subscription()).status == "canceled"
    assert await house.states() == [("ola", "active")]
    with pytest.raises(AssertionError, match="already_covered"):
        await house.begin(await house.token("anna", "ola"))


async def test_a_pupil_more_costs_what_was_shown_to_the_grosz_and_once(house: RenewingHouse) -> None:
    await house.family("anna", "ola", "jan")
    await house.subscribe("anna", "ola")
    await house.live_until(datetime(2026, 9, 11, 15, 7, 3, tzinfo=UTC))
    name, gateway = renewal_id(await house.row()), house.services.gateway
    shown = await changing.preview(house.database, gateway, house.catalogue, name, Change(pupil="jan"), house.now)
    assert 0 < shown.amount < 599
    before = await charged(house)
    house.stand_at(house.now + timedelta(minutes=9))
    await house.world.control("faults", {"api": "timeout_after"})
    with pytest.raises(ProviderUnknown):
        await changing.make_change(house.database, gateway, shown.key, house.now)
    await house.world.control("faults", {"api": "normal"})
    await house.settle()
    assert await changing.make_change(house.database, gateway, shown.key, house.now) == "done"
    assert await charged(house) - before == shown.amount
    assert await house.states() == [("ola", "active"), ("jan", "active")]
    assert (await house.answer("anna", "jan")).reason == "paid"
    row = await house.row()
    assert (row.pupils, row.period_end) == (["jan", "ola"], FIRST_END)
    with pytest.raises(CannotChange):
        await changing.preview(house.database, gateway, house.catalogue, name, Change(pupil="jan"), house.now)
    await house.live_until(FIRST_END + timedelta(hours=3))
    assert sorted([row[0] for row in await house.rows("select amount from payment")]) == sorted(
        [599, shown.amount, 1198]
    )


async def test_r68_a_mandate_revoked_at_the_bank_turns_renewal_off_and_nothing_is_tried(
    database_url: str, tmp_path: Path
) -> None:
    async with opened(database_url, tmp_path, catalogue_file(tmp_path, blik=True)) as house:
        await house.family("anna", "ola")
        await house.subscribe("anna", "ola", method="blik")
        assert (await house.row()).provider_method is not None
        await house.world.control(f"subscriptions/{(await house.row()).provider_id}/mandate", {"status": "inactive"})
        await house.settle()
        row = await house.row()
        assert (row.state, row.is_renewal_on, row.off_reason) == ("active", False, "mandate_revoked")
        await house.live_until(FIRST_END + timedelta(days=9))
        assert (await house.row()).state == "ended"
        assert len(list(house.world.standin._store.all_of("charge"))) == 1


async def test_i02_f34_with_every_event_lost_the_looks_find_it_all(house: RenewingHouse) -> None:
    await house.world.control("faults", {"webhooks": "drop"})
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.live_until(house.now + timedelta(minutes=10))
    assert (await house.row()).state == "active"
    await house.live_until(FIRST_END + timedelta(hours=8))
    row = await house.row()
    assert (row.state, row.period_end) == ("active", SECOND_END)
    await house.outcome("declined")
    await house.live_until(SECOND_END + timedelta(hours=8))
    assert (await house.row()).state == "past_due"


async def test_i01_f36_events_doubled_and_reordered_end_as_told_once_in_order(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.world.control("faults", {"webhooks": "reorder"})
    await house.subscribe("anna", "ola")
    await house.world.control("faults", {"webhooks": "duplicate"})
    await house.live_until(FIRST_END + timedelta(hours=3))
    for letter in reversed(house.world.receiver.letters):
        await house.keep_event(letter.body)
    for row in await house.rows("select id from stripe_event order by id desc"):
        await house.rows_changed("update stripe_event set state = 'new', tries = 0 where id = :id", id=row.id)
    await house.settle()
    row = await house.row()
    assert (row.state, row.period_end) == ("active", SECOND_END)
    assert await house.one("select count(*) from payment") == 2
    assert await house.one("select count(*) from refund") == 0
    assert await house.one("select count(*) from audit where action = 'renewal.moved'") == 1


@pytest.mark.parametrize("fault", ["timeout_after", "timeout_before", "error_500"])
async def test_f27_f29_a_lost_answer_to_a_wish_is_read_back_and_the_wish_comes_true(
    house: RenewingHouse, fault: str
) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.world.control("faults", {"api": fault})
    await house.act("turn_off")
    await house.world.control("faults", {"api": "normal"})
    await house.advance(house.now + timedelta(minutes=20))
    row = await house.row()
    assert (row.push_at, row.pushed) == (None, row.revision)
    assert (await house.subscription()).cancel_at_period_end is True
    assert await house.one("select count(*) from provider_intent where state in ('new', 'unknown')") == 0


async def test_what_is_turned_off_on_stripes_own_page_is_off_here_and_back_on_again(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    row = await house.subscribe("anna", "ola")
    change = house.world.client.v1.subscriptions.update_async
    await change(row.provider_id, {"cancel_at_period_end": True})
    await house.settle()
    assert (await house.row()).off_reason == "at_provider"
    await change(row.provider_id, {"cancel_at_period_end": False})
    await house.settle()
    assert (await house.row()).is_renewal_on
    assert (await house.row()).push_at is None
