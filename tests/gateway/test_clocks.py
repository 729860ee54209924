"""Test clocks: a customer's own time, beside the one clock of the sandbox."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe

from billing.sandbox.stripe.periods import after
from billing.sandbox.stripe.store import Store
from tests.gateway.renewing import instant, price, read, span
from tests.gateway.world import START, World

FROZEN = datetime(2030, 1, 31, 8, tzinfo=UTC)


async def _customer(world: World) -> tuple[Any, Any]:
    """A clock, and a customer on it with a card."""
    clock = await world.client.v1.test_helpers.test_clocks.create_async({"frozen_time": int(FROZEN.timestamp())})
    customer = await world.client.v1.customers.create_async({"email": "anna@example.pl", "test_clock": clock.id})
    method = await world.client.v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id})
    await world.client.v1.customers.update_async(
        customer.id, {"invoice_settings": {"default_payment_method": method.id}}
    )
    return clock, customer


async def _advance(world: World, clock: str, at: datetime) -> Any:
    stamp = int(at.timestamp())
    moving = await world.client.v1.test_helpers.test_clocks.advance_async(clock, {"frozen_time": stamp})
    assert moving.status == "advancing"
    await world.standin.deliver_due()
    there = await world.client.v1.test_helpers.test_clocks.retrieve_async(clock)
    assert (there.status, there.frozen_time) == ("ready", stamp)
    return there


async def _begin(world: World, customer: Any, interval: str = "month") -> Any:
    item = {"price": await price(world, interval, 1999)}
    return await world.client.v1.subscriptions.create_async({"customer": customer.id, "items": [item]})


async def test_two_years_of_months_pass_within_seconds(world: World) -> None:
    clock, customer = await _customer(world)
    subscription = await _begin(world, customer)
    assert (subscription.test_clock, instant(subscription.created)) == (clock.id, FROZEN)
    started = time.monotonic()
    at, end = FROZEN, FROZEN.replace(year=2032) + timedelta(hours=1)
    while at < end:
        at = min(instant(after(int(at.timestamp()), "month", 2)), end)
        await _advance(world, clock.id, at)
    assert time.monotonic() - started < 10
    invoices = await world.client.v1.invoices.list_async({"subscription": subscription.id, "limit": 100})
    assert [row.status for row in invoices.data] == ["paid"] * 25
    assert {row.test_clock for row in invoices.data} == {clock.id}
    days = [instant(row.created) for row in reversed(invoices.data)]
    assert days == [instant(after(int(FROZEN.timestamp()), "month", month)) for month in range(25)]
    assert span(await read(world, subscription.id))[1] == datetime(2032, 2, 29, 8, tzinfo=UTC)
    # The events are sent at the time that everybody shares.
    told = await world.client.v1.events.list_async({"type": "invoice.paid", "limit": 1})
    assert instant(told.data[0].created) == START


async def test_a_clock_moves_only_when_told_and_touches_only_its_own(world: World) -> None:
    clock, customer = await _customer(world)
    other_clock, other = await _customer(world)
    mine, theirs = await _begin(world, customer), await _begin(world, other)
    world.hands.pass_by(days=400)
    await world.standin.deliver_due()
    assert span(await read(world, mine.id))[0] == FROZEN
    await _advance(world, clock.id, FROZEN + timedelta(days=40))
    assert span(await read(world, mine.id))[0] == datetime(2030, 2, 28, 8, tzinfo=UTC)
    assert span(await read(world, theirs.id))[0] == FROZEN
    listed = await world.client.v1.subscriptions.list_async({"test_clock": other_clock.id})
    assert [row.id for row in listed.data] == [theirs.id]


async def test_a_step_is_at_most_two_intervals_of_the_shortest_subscription_and_forward(world: World) -> None:
    clock, customer = await _customer(world)
    await _begin(world, customer, "year")
    advance = world.client.v1.test_helpers.test_clocks.advance_async
    with pytest.raises(stripe.InvalidRequestError, match="two intervals"):
        await advance(clock.id, {"frozen_time": int(FROZEN.replace(year=2032).timestamp()) + 1})
    await _begin(world, customer, "month")
    with pytest.raises(stripe.InvalidRequestError, match="two intervals"):
        await advance(clock.id, {"frozen_time": int(datetime(2030, 3, 31, 8, 0, 1, tzinfo=UTC).timestamp())})
    with pytest.raises(stripe.InvalidRequestError, match="after the present"):
        await advance(clock.id, {"frozen_time": int(FROZEN.timestamp())})
    await advance(clock.id, {"frozen_time": int(FROZEN.timestamp()) + 1})
    with pytest.raises(stripe.InvalidRequestError, match="is advancing"):
        await advance(clock.id, {"frozen_time": int(FROZEN.timestamp()) + 2})


async def test_a_change_on_a_clock_happens_at_its_time(world: World) -> None:
    clock, customer = await _customer(world)
    subscription = await _begin(world, customer, "year")
    await _advance(world, clock.id, FROZEN + timedelta(days=100))
    ended = await world.client.v1.subscriptions.cancel_async(subscription.id)
    assert instant(ended.ended_at) == FROZEN + timedelta(days=100)


async def test_a_clock_takes_its_customers_along_when_it_goes(world: World) -> None:
    clock, customer = await _customer(world)
    subscription = await _begin(world, customer)
    assert len((await world.client.v1.test_helpers.test_clocks.list_async()).data) == 1
    assert (await world.client.v1.test_helpers.test_clocks.delete_async(clock.id)).deleted
    assert (await read(world, subscription.id)).status == "canceled"
    assert (await world.client.v1.customers.retrieve_async(customer.id)).deleted
    world.hands.pass_by(days=3650)
    await world.standin.deliver_due()
    assert len((await world.client.v1.invoices.list_async({"subscription": subscription.id})).data) == 1


async def test_a_checkout_of_a_customer_on_a_clock_begins_at_that_clocks_time(world: World) -> None:
    clock, customer = await _customer(world)
    price_id = await price(world, "year", 4499)
    session = await world.session(
        mode="subscription", line_items=[{"price": price_id, "quantity": 1}], customer=customer.id
    )
    told = await world.control(f"sessions/{session.id}/pay", {"method": "card", "outcome": "succeeded"})
    subscription = await read(world, told["subscription"])
    assert (subscription.test_clock, span(subscription)[0]) == (clock.id, FROZEN)


def test_a_file_from_before_test_clocks_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "stripe.db"
    Store(path).close()
    old = sqlite3.connect(path)
    old.execute("DROP INDEX objects_due_now")
    old.execute("DROP INDEX objects_due_by_clock")
    old.execute("ALTER TABLE objects DROP COLUMN clock")
    old.execute(
        "INSERT INTO objects (id, kind, due, body) VALUES ('cs_1', 'checkout.session', 5, '{\"id\": \"cs_1\"}')"
    )
    old.commit()
    old.close()
    store = Store(path)
    assert (store.next_due(), store.first_due(5)) == (5, (5, {"id": "cs_1"}))
    store.close()
