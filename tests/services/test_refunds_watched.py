"""Refunds somebody made at Stripe by hand, and the watch over the day by which each must have gone (R76, I12)."""

from datetime import date, timedelta

from billing.kernel.days import at_hour, day_of
from billing.payments import refunds_by_hand
from billing.payments.rules import refund_due_on
from tests.services.house import House
from tests.services.invariants import check
from tests.services.refunding import PRICE, balance, bought, failed, propose, refund_outcome, refunds, rights, the_case

# Refunds made in Stripe's dashboard


async def by_hand(house: House, amount: int | None = None) -> None:
    charge = await house.one("select stripe_charge from payment order by recorded_at limit 1")
    given = {"charge": charge} if amount is None else {"charge": charge, "amount": amount}
    await house.world.client.v1.refunds.create_async(given, {"idempotency_key": f"dashboard-{house.now.timestamp()}"})
    await house.settle()


async def test_i12_a_part_refund_made_at_stripe_by_hand_is_booked_and_shown_and_the_pass_stays(house: House) -> None:
    await bought(house, "p1")
    await by_hand(house, 1000)
    assert await refunds(house) == [("goodwill", 1000, "succeeded", "provider")]
    assert await rights(house) == [("p1", "active")]
    assert (await the_case(house, "finding"))[3]["cause"] == "refund_made_by_hand"
    await check(house)


async def test_i13_a_part_made_by_hand_that_is_still_on_its_way_is_asked_about_and_never_made_again(
    house: House,
) -> None:
    await bought(house, "p1")
    await refund_outcome(house, "pending")
    await by_hand(house, 1000)
    house.stand_at(house.now + timedelta(hours=3))
    await house.settle()
    assert await refunds(house) == [("goodwill", 1000, "pending", "provider")]
    assert [made["amount"] for made in house.world.standin._store.all_of("refund")] == [1000]
    await check(house)


async def test_i12_a_full_refund_made_at_stripe_by_hand_ends_the_pass(house: House) -> None:
    await bought(house, "p1")
    await by_hand(house)
    assert await refunds(house) == [("goodwill", PRICE, "succeeded", "provider")]
    assert await rights(house) == [("p1", "refunded")]
    await check(house)


async def test_i12_a_refund_made_by_hand_after_ours_failed_is_what_was_owed_and_nobody_is_paid_twice(
    house: House,
) -> None:
    await failed(house)
    await refund_outcome(house, "succeeded")
    assert (await the_case(house, "bank_transfer"))[1] == "open"
    await by_hand(house)
    assert [(amount, state) for _, amount, state, _ in await refunds(house)] == [
        (PRICE, "waived"),
        (PRICE, "succeeded"),
    ]
    assert (await the_case(house, "bank_transfer"))[1:3] == ("closed", "dismissed")
    assert await balance(house, "refunds_payable") == 0
    await check(house)


async def test_i12_a_part_made_by_hand_after_ours_failed_leaves_the_rest_owed_and_it_goes(house: House) -> None:
    await failed(house)
    await refund_outcome(house, "succeeded")
    await by_hand(house, 1000)
    await house.settle()
    found = sorted((amount, state) for _, amount, state, _ in await refunds(house))
    assert found == [(1000, "succeeded"), (PRICE - 1000, "succeeded"), (PRICE, "waived")]
    assert await balance(house, "refunds_payable") == 0
    assert await house.one("select count(*) from stripe_event where state = 'parked'") == 0
    await check(house)


async def test_i01_a_refund_made_by_hand_that_is_heard_of_before_its_payment_is_not_lost(house: House) -> None:
    await house.family("anna", "p1")
    await house.world.control("faults", {"webhooks": "drop"})
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "card")
    (charge,) = house.world.standin._store.all_of("charge")
    await house.world.client.v1.refunds.create_async({"charge": charge["id"]}, {"idempotency_key": "dashboard"})
    events = house.world.standin._store.rows("SELECT type, body FROM events ORDER BY seq")
    for kind in ("refund.created", "checkout.session.completed"):
        await house.keep_event(next(body.encode() for name, body in events if name == kind))
        await house.settle(without={"checkout.sweep"})
    assert await refunds(house) == [("goodwill", PRICE, "succeeded", "provider")]
    assert await rights(house) == [("p1", "refunded")]
    await check(house)


# The watch


async def test_r76_with_seven_and_three_days_left_and_once_it_is_late_somebody_is_told(house: House) -> None:
    order = await bought(house, "p1")
    await refund_outcome(house, "pending")
    await propose(house, order, PRICE)
    due = refund_due_on(day_of(house.now))
    told: list[date] = []
    levels: list[dict[int, int]] = []
    for _ in range(17):
        before = await house.one("select count(*) from audit where action = 'refund.warned'")
        async with house.database.begin() as session:
            levels.append(dict(await refunds_by_hand.near_due(session, house.now)))
        await house.advance(at_hour(day_of(house.now) + timedelta(days=1), 8))
        if await house.one("select count(*) from audit where action = 'refund.warned'") > before:
            told.append(day_of(house.now))
    assert told == [due - timedelta(days=7), due - timedelta(days=3), due + timedelta(days=1)]
    assert levels[12] == {3: 1}, "pending for twelve days: the alarm stands"
    assert levels[-1] == {-1: 1}
