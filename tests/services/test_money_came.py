"""Money is dated when it came, not when its buyer was sent to the bank: BLIK and P24 may take days (R53, R104, I03)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing.payments import shapes
from billing.payments.facts import PaymentFacts
from billing.reconciliation import comparing
from tests.services.house import House
from tests.services.invariants import check

MINUTE = timedelta(minutes=1)
MIDNIGHTS = {
    "a night in summer": (datetime(2026, 9, 9, 21, 50, tzinfo=UTC), 20 * MINUTE, date(2026, 9, 10)),
    "not yet midnight in Warsaw": (datetime(2026, 9, 9, 21, 30, tzinfo=UTC), 29 * MINUTE, date(2026, 9, 9)),
    "midnight in Greenwich is another day in Warsaw already": (
        datetime(2026, 9, 9, 23, 50, tzinfo=UTC), 20 * MINUTE, date(2026, 9, 10),
    ),
    "the end of a month": (datetime(2026, 9, 30, 21, 55, tzinfo=UTC), 10 * MINUTE, date(2026, 10, 1)),
    "the end of a year": (datetime(2026, 12, 31, 22, 55, tzinfo=UTC), 10 * MINUTE, date(2027, 1, 1)),
    "the night of 25 hours": (datetime(2026, 10, 24, 21, 55, tzinfo=UTC), 26 * 60 * MINUTE, date(2026, 10, 26)),
    "three days": (datetime(2026, 9, 28, 12, tzinfo=UTC), timedelta(days=3), date(2026, 10, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MIDNIGHTS))
@pytest.mark.parametrize("method", ["blik", "p24"])
async def test_r104_r53_a_delayed_payment_is_sold_on_the_warsaw_day_on_which_its_money_came(
    house: House, name: str, method: str
) -> None:
    begun, wait, sold_on = MIDNIGHTS[name]
    await house.family("anna", "p1")
    house.stand_at(begun)
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, method, "pending")
    await house.settle()
    assert await house.one("select state from orders") == "pending"
    assert await house.rows("select 1 from subscription") == []
    house.stand_at(begun + wait)
    await house.settle_payment(url, "succeeded")
    house.stand_at(begun + wait + 3 * MINUTE)
    await house.settle(without={"notices.send"})
    (charge,) = house.world.standin._store.all_of("charge")
    assert charge["created"] == int(begun.timestamp())
    came = begun + wait
    assert await house.one("select captured_at from payment") == came
    assert await house.one("select paid_at from orders") == came
    assert await house.one("select sold_on from ledger_sale") == sold_on
    assert await house.one("select max(booked_on) from ledger_line where cause like 'payment:%'") == sold_on
    assert await house.one("select since from subscription") == came
    if name.startswith("the end of a"):
        before = sold_on.replace(year=sold_on.year - (sold_on.month == 1), month=(sold_on.month - 2) % 12 + 1)
        assert await sold_in(house, before) == 0
    assert await sold_in(house, sold_on) == 4499
    await check(house)


async def sold_in(house: House, month: date) -> int:
    """What the books say was sold in the month of a day, gross."""
    query = "select coalesce(sum(gross), 0) from ledger_sale where to_char(sold_on, 'YYYY-MM') = :month"
    return int(await house.one(query, month=f"{month:%Y-%m}"))


async def test_r53_i02_how_we_heard_of_it_and_when_changes_nothing_about_when_the_money_came(house: House) -> None:
    """No event at all: the sweep finds it half a day later, and books it on the day it came."""
    begun = datetime(2026, 9, 30, 21, 55, tzinfo=UTC)
    await house.family("anna", "p1")
    house.stand_at(begun)
    await house.world.control("faults", {"webhooks": "drop"})
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "p24", "pending")
    house.stand_at(begun + 10 * MINUTE)
    await house.settle_payment(url, "succeeded")
    await house.advance(begun + timedelta(hours=30), without={"notices.send"})
    assert await house.one("select captured_at from payment") == begun + 10 * MINUTE
    assert await house.one("select sold_on from ledger_sale") == date(2026, 10, 1)


@pytest.mark.parametrize("ago", [timedelta(days=1), timedelta(days=2)])
async def test_i02_money_that_came_in_a_look_whose_charge_was_begun_before_it_is_not_missed_at_stripe(
    house: House, ago: timedelta
) -> None:
    await house.family("anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "p24", "pending")
    await house.settle()
    house.stand_at(house.now + timedelta(days=2, hours=12))
    await house.settle_payment(url, "succeeded")
    await house.settle(without={"notices.send"})
    scope = comparing.Scope(since=house.now - ago)
    found = await comparing.tell(house.database, house.services.gateway, scope, house.now)
    assert found.findings == ()


def charge(**more: Any) -> dict[str, Any]:
    return {
        "id": "ch_1", "amount": 4499, "amount_refunded": 0, "currency": "pln", "created": 1_790_000_000,
        "livemode": False, "status": "succeeded", "captured": True, **more,
    }  # fmt: skip


def came(**more: Any) -> datetime:
    intent = {"id": "pi_1", "livemode": False, "status": "succeeded", "latest_charge": charge(**more)}
    paid = shapes.payment_of(shapes.read(intent, shapes.PaymentIntent), livemode=False)
    assert isinstance(paid, PaymentFacts)
    return paid.captured_at


def test_f32_money_that_stripe_has_not_booked_yet_or_does_not_show_is_dated_by_its_charge() -> None:
    made = datetime.fromtimestamp(1_790_000_000, UTC)
    assert came() == came(balance_transaction=None) == came(balance_transaction="txn_1") == made
    booked = {"id": "txn_1", "created": 1_790_000_777, "object": "balance_transaction"}
    assert came(balance_transaction=booked) == made + timedelta(seconds=777)
