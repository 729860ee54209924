"""A subscription that is changed within its period: what a preview shows is charged, to the grosz."""

from datetime import timedelta
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from billing.sandbox.stripe.periods import share
from tests.gateway.renewing import begin, latest, line, live_until, price, read, span
from tests.gateway.world import START, World


def _item(subscription: Any, **change: Any) -> dict[str, Any]:
    return {"id": subscription["items"].data[0].id, **change}


async def _preview(world: World, subscription: Any, **details: Any) -> Any:
    return await world.client.v1.invoices.create_preview_async(
        {"subscription": subscription.id, "subscription_details": details}
    )


async def _invoices(world: World, subscription: Any) -> int:
    return len((await world.client.v1.invoices.list_async({"subscription": subscription.id})).data)


def _lines(invoice: Any) -> list[tuple[int, bool]]:
    """Amount and whether it is a proration, line by line."""
    return [
        (row.amount, bool(row.parent.invoice_item_details and row.parent.invoice_item_details.proration))
        for row in invoice.lines.data
    ]


async def test_a_larger_quantity_is_billed_at_once_when_that_is_asked(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    await live_until(world, START + timedelta(days=10))
    at = int(world.hands.at.timestamp())
    change = {
        "items": [_item(subscription, quantity=3)],
        "proration_behavior": "always_invoice",
        "proration_date": at,
    }
    shown = await _preview(world, subscription, **change)
    # Thirty days, twenty left: 2000 back for one, 6000 for three.
    assert _lines(shown) == [(-2000, True), (6000, True)]
    assert (shown.amount_due, shown.billing_reason) == (4000, "subscription_update")
    assert shown.parent.subscription_details.subscription_proration_date == at
    assert await _invoices(world, subscription) == 1
    world.hands.pass_by(minutes=7)
    changed = await world.client.v1.subscriptions.update_async(subscription.id, change)
    charged = await latest(world, subscription.id)
    assert (charged.status, charged.amount_paid, _lines(charged)) == ("paid", shown.amount_due, _lines(shown))
    assert (changed["items"].data[0].quantity, span(changed)) == (3, span(subscription))
    await live_until(world, span(subscription)[1] + timedelta(hours=1))
    assert (await latest(world, subscription.id)).amount_paid == 9000


async def test_by_default_the_difference_waits_for_the_next_invoice(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    await live_until(world, START + timedelta(days=10))
    change = {
        "items": [_item(subscription, quantity=2)],
        "proration_date": int(world.hands.at.timestamp()),
    }
    shown = await _preview(world, subscription, **change)
    assert _lines(shown) == [(-2000, True), (4000, True), (6000, False)]
    await world.client.v1.subscriptions.update_async(subscription.id, change)
    assert await _invoices(world, subscription) == 1
    assert (await _preview(world, subscription)).amount_due == shown.amount_due == 8000
    await live_until(world, span(subscription)[1] + timedelta(hours=1))
    charged = await latest(world, subscription.id)
    assert (charged.amount_paid, charged.billing_reason, _lines(charged)) == (8000, "subscription_cycle", _lines(shown))
    await live_until(world, START + timedelta(days=90))
    assert (await latest(world, subscription.id)).amount_paid == 6000


async def test_without_proration_only_the_next_period_costs_something_else(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    item = subscription["items"].data[0].id
    changed = await world.client.v1.subscription_items.update_async(item, {"quantity": 2, "proration_behavior": "none"})
    assert (changed.id, changed.quantity) == (item, 2)
    assert (await world.client.v1.subscription_items.retrieve_async(item)).quantity == 2
    listed = await world.client.v1.subscription_items.list_async({"subscription": subscription.id})
    assert [row.id for row in listed.data] == [item]
    assert _lines(await _preview(world, subscription)) == [(6000, False)]
    await live_until(world, span(subscription)[1] + timedelta(hours=1))
    assert (await latest(world, subscription.id)).amount_paid == 6000


@pytest.mark.parametrize(
    ("behaviour", "due"), [("create_prorations", 24000), ("always_invoice", 24000), ("none", 26000)]
)
async def test_another_interval_begins_a_new_period_and_is_billed_at_once(
    world: World, behaviour: str, due: int
) -> None:
    subscription = await begin(world, line("month", 3000))
    await live_until(world, START + timedelta(days=10))
    change = {
        "items": [_item(subscription, price=await price(world, "year", 26000))],
        "proration_behavior": behaviour,
        "proration_date": int(world.hands.at.timestamp()),
    }
    shown = await _preview(world, subscription, **change)
    assert shown.amount_due == due
    changed = await world.client.v1.subscriptions.update_async(subscription.id, change)
    begun = START + timedelta(days=10)
    assert span(changed) == (begun, begun.replace(year=2027))
    charged = await latest(world, subscription.id)
    assert (charged.status, charged.amount_paid) == ("paid", due)
    assert world.standin.next_due() is not None
    await live_until(world, begun.replace(year=2027) + timedelta(hours=1))
    assert (await latest(world, subscription.id)).amount_paid == 26000


async def test_what_is_given_back_by_a_smaller_plan_pays_the_next_invoices(world: World) -> None:
    subscription = await begin(world, line("year", 36500))
    change = {
        "items": [_item(subscription, price=await price(world, "month", 3000))],
        "proration_date": int(START.timestamp()),
    }
    shown = await _preview(world, subscription, **change)
    assert (shown.total, shown.amount_due) == (-33500, 0)
    await world.client.v1.subscriptions.update_async(subscription.id, change)
    charged = await latest(world, subscription.id)
    assert (charged.status, charged.total, charged.ending_balance) == ("paid", -33500, -33500)
    assert charged.payments.data == []
    await live_until(world, START + timedelta(days=370))
    customer = await world.client.v1.customers.retrieve_async(subscription.customer)
    invoices = await world.client.v1.invoices.list_async({"subscription": subscription.id, "limit": 20})
    assert sum(row.amount_paid for row in invoices.data) == 36500 + 12 * 3000 - 33500
    assert customer.balance == 0


async def test_a_voided_invoice_gives_the_customers_credit_back(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    change = {
        "items": [_item(subscription, quantity=2)],
        "proration_behavior": "always_invoice",
        "proration_date": int(START.timestamp()),
    }
    await world.client.v1.subscriptions.update_async(subscription.id, change)
    back = {**change, "items": [_item(subscription, quantity=1)]}
    await world.client.v1.subscriptions.update_async(subscription.id, back)
    await world.client.v1.subscriptions.update_async(subscription.id, {"pause_collection": {"behavior": "void"}})
    read_customer = world.client.v1.customers.retrieve_async
    assert (await read_customer(subscription.customer)).balance == -3000
    await live_until(world, span(subscription)[1])
    assert (await latest(world, subscription.id)).status == "void"
    assert (await read_customer(subscription.customer)).balance == -3000


async def test_a_refused_change_is_owed_or_never_was_as_was_asked(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    await world.control(f"subscriptions/{subscription.id}/next_payment", {"outcome": "declined"})
    change = {"items": [_item(subscription, quantity=2)], "proration_behavior": "always_invoice"}
    with pytest.raises(stripe.CardError):
        await world.client.v1.subscriptions.update_async(
            subscription.id, {**change, "payment_behavior": "error_if_incomplete"}
        )
    standing = await read(world, subscription.id)
    assert (standing.status, standing["items"].data[0].quantity) == ("active", 1)
    owed = await world.client.v1.subscriptions.update_async(subscription.id, change)
    assert (owed.status, owed["items"].data[0].quantity) == ("past_due", 2)
    assert (await latest(world, subscription.id)).next_payment_attempt is not None


async def test_what_cannot_be_is_refused(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    update = world.client.v1.subscriptions.update_async
    late = int((START + timedelta(days=40)).timestamp())
    for wrong in (
        {"items": [_item(subscription, deleted=True)]},
        {"items": [{"id": "si_none", "quantity": 2}]},
        {"items": [_item(subscription, quantity=2)], "proration_date": late},
        {"items": [{"price": await price(world, "year", 3000)}]},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            await update(subscription.id, wrong)
    await update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError, match="No upcoming"):
        await _preview(world, subscription)


async def test_ending_it_now_may_give_the_rest_of_the_period_to_the_customers_credit(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    await live_until(world, START + timedelta(days=10))
    shown = await _preview(world, subscription, cancel_now=True)
    assert _lines(shown) == [(-2000, True)]
    await world.client.v1.subscriptions.cancel_async(subscription.id, {"prorate": True, "invoice_now": True})
    assert (await latest(world, subscription.id)).ending_balance == shown.total == -2000


async def test_the_first_invoice_of_what_is_not_yet_begun_can_be_seen(world: World) -> None:
    customer = await world.client.v1.customers.create_async({"email": "anna@example.pl"})
    item = {"price": await price(world, "year", 4499), "quantity": 2}
    shown = await world.client.v1.invoices.create_preview_async(
        {"customer": customer.id, "subscription_details": {"items": [item]}}
    )
    assert (shown.amount_due, shown.billing_reason, shown.status) == (8998, "subscription_create", "draft")


@given(st.integers(0, 10**7), st.integers(1, 10**8), st.data())
def test_a_share_is_exact_to_half_a_grosz_and_never_more_than_the_whole(amount: int, whole: int, data: Any) -> None:
    part = data.draw(st.integers(0, whole))
    found = share(amount, part, whole)
    assert abs(found * whole - amount * part) * 2 <= whole
    assert 0 <= found <= amount
    assert share(-amount, part, whole) == -found
