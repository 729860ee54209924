"""A renewing subscription from the first payment on (R63 to R68, I01 to I17)."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.subscriptions.renewing import CannotChange
from tests.renewals.house import RenewingHouse

FIRST_END = datetime(2026, 10, 1, 8, tzinfo=UTC)
GRACE_END = datetime(2026, 10, 7, 22, tzinfo=UTC)
STEP = timedelta(seconds=1)


async def test_r64_i03_the_first_payment_begins_the_right_for_exactly_what_it_paid(house: RenewingHouse) -> None:
    await house.family("anna", "ola", "jan")
    row = await house.subscribe("anna", "ola", "jan")
    assert (row.state, row.unit_gross, row.pupils) == ("active", 599, ["jan", "ola"])
    assert (row.period_start, row.period_end) == (house.now, FIRST_END)
    assert await house.states() == [("jan", "active"), ("ola", "active")]
    answer = await house.answer("anna", "ola")
    assert (answer.allowed, answer.reason) == (True, "paid")
    assert await house.one("select amount from payment") == 1198
    assert await house.one("select state from orders") == "paid"
    assert (await house.view()).next_amount == 1198


async def test_three_months_are_three_payments_three_sales_and_one_right(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.live_until(datetime(2026, 11, 20, tzinfo=UTC))
    row = await house.row()
    assert (row.state, row.period_end) == ("active", datetime(2026, 12, 1, 8, tzinfo=UTC))
    assert await house.one("select count(*) from payment") == 3
    sales = await house.rows("select gross, first_day, last_day from ledger_sale order by first_day")
    assert [str(sale.first_day) for sale in sales] == ["2026-09-01", "2026-10-01", "2026-11-01"]
    assert await house.states() == [("ola", "active")]
    spans = await house.rows("select since, until from entitlement_grant where source = 'paid'")
    assert [(span.since, span.until) for span in spans] == [(datetime(2026, 9, 1, 8, tzinfo=UTC), row.period_end)]
    assert await house.one("select count(*) from refund") == 0


async def test_i05_between_the_end_of_a_period_and_its_payment_the_answer_is_grace_and_no_job_runs(
    house: RenewingHouse,
) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    assert (await house.answer("anna", "ola", FIRST_END - STEP)).reason == "paid"
    for at, reason, allowed in (
        (FIRST_END, "grace", True),
        (GRACE_END - STEP, "grace", True),
        (GRACE_END, "payment_failed", False),
    ):
        answer = await house.answer("anna", "ola", at)
        assert (answer.reason, answer.allowed) == (reason, allowed)


async def test_a_declined_renewal_is_past_due_with_grace_and_heals(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.outcome("declined")
    await house.live_until(FIRST_END + timedelta(hours=3))
    row = await house.row()
    assert (row.state, row.grace_until, row.period_end) == ("past_due", GRACE_END, FIRST_END)
    assert await house.states() == [("ola", "past_due")]
    assert (await house.answer("anna", "ola")).reason == "grace"
    await house.outcome("succeeded")
    await house.live_until(FIRST_END + timedelta(days=5))
    row = await house.row()
    assert (row.state, row.past_due_since, row.period_end) == ("active", None, datetime(2026, 11, 1, 8, tzinfo=UTC))
    assert (await house.answer("anna", "ola")).reason == "paid"
    kinds = await house.rows("select kind from outbox where kind like 'renewal.%'")
    assert sorted(row[0] for row in kinds) == ["renewal.payment_failed", "renewal.recovered", "renewal.renewed"]


async def test_a_payment_that_never_comes_ends_with_its_grace_and_stripe_is_told(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.outcome("declined")
    await house.live_until(GRACE_END + timedelta(days=10))
    row = await house.row()
    assert (row.state, row.ended_at, row.pushed) == ("ended", GRACE_END, row.revision)
    assert await house.states() == [("ola", "ended")]
    answer = await house.answer("anna", "ola")
    assert (answer.allowed, answer.reason) == (False, "payment_failed")
    assert (await house.subscription()).status == "canceled"
    assert await house.one("select count(*) from payment") == 1


async def test_r67_turned_off_it_stays_to_its_end_and_is_charged_no_more(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.act("turn_off")
    assert (await house.subscription()).cancel_at_period_end is True
    shown = await house.view()
    assert (shown.will_renew, shown.reason, shown.may_turn_on, shown.next_amount) == (False, "asked", True, None)
    assert (await house.answer("anna", "ola", FIRST_END)).reason == "pass_expired"
    await house.live_until(FIRST_END + timedelta(days=40))
    assert ((await house.row()).state, await house.states()) == ("ended", [("ola", "ended")])
    assert (await house.row()).ended_at == FIRST_END
    assert await house.one("select count(*) from payment") == 1
    with pytest.raises(CannotChange):
        await house.act("turn_on")


async def test_r67_an_undone_cancellation_renews_as_if_nothing_had_been(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.act("turn_off")
    await house.live_until(FIRST_END - timedelta(days=1))
    await house.act("turn_on")
    assert (await house.subscription()).cancel_at_period_end is False
    await house.live_until(FIRST_END + timedelta(days=2))
    row = await house.row()
    assert (row.state, row.period_end) == ("active", datetime(2026, 11, 1, 8, tzinfo=UTC))


async def test_paused_it_costs_and_gives_nothing_and_resumed_it_goes_on(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.act("pause")
    assert (await house.answer("anna", "ola")).reason == "paid"
    await house.live_until(datetime(2026, 11, 15, tzinfo=UTC))
    assert ((await house.row()).state, await house.states()) == ("paused", [("ola", "paused")])
    assert (await house.answer("anna", "ola")).reason == "pass_expired"
    assert await house.one("select count(*) from payment") == 1
    await house.act("resume")
    assert (await house.view()).next_charge_at == datetime(2026, 12, 1, 8, tzinfo=UTC)
    await house.live_until(datetime(2026, 12, 2, tzinfo=UTC))
    row = await house.row()
    assert (row.state, row.period_start) == ("active", datetime(2026, 12, 1, 8, tzinfo=UTC))
    assert (await house.answer("anna", "ola")).reason == "paid"
    assert not (await house.answer("anna", "ola", datetime(2026, 11, 20, tzinfo=UTC))).allowed
    assert await house.one("select count(*) from payment") == 2


async def test_r65_without_the_letter_there_is_no_charge(house: RenewingHouse) -> None:
    await house.family("anna", "ola")
    await house.subscribe("anna", "ola")
    await house.live_until(FIRST_END + timedelta(days=3), tells=False)
    row = await house.row()
    assert (row.state, row.off_reason) == ("ended", "no_notice")
    assert await house.one("select count(*) from payment") == 1
    assert (await house.subscription()).status == "canceled"
