"""Renewing subscriptions: begun at checkout, renewed by time, ended by people or by the bank."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from billing.sandbox.stripe.subscriptions import after
from tests.gateway.world import START, World

YEARLY = {
    "price_data": {
        "currency": "pln",
        "unit_amount": 4499,
        "recurring": {"interval": "year"},
        "product_data": {"name": "Mobilne dodatki, odnawiane"},
    },
    "quantity": 1,
}


async def _begin(world: World, line: dict[str, Any] = YEARLY) -> Any:
    session = await world.session(
        mode="subscription", line_items=[line], subscription_data={"metadata": {"order": "ord_1"}}
    )
    told = await world.control(f"sessions/{session.id}/pay", {"method": "card", "outcome": "succeeded"})
    return await world.client.v1.subscriptions.retrieve_async(told["subscription"])


def _end(subscription: Any) -> datetime:
    return datetime.fromtimestamp(subscription["items"].data[0].current_period_end, UTC)


async def test_a_subscription_begins_paid_with_its_period_on_the_item(world: World) -> None:
    subscription = await _begin(world)
    assert (subscription.status, subscription.metadata.order) == ("active", "ord_1")
    assert _end(subscription) == START.replace(year=2027)
    assert "current_period_end" not in subscription.to_dict()
    invoice = await world.client.v1.invoices.retrieve_async(subscription.latest_invoice, {"expand": ["payments"]})
    assert (invoice.status, invoice.billing_reason) == ("paid", "subscription_create")
    assert invoice.parent.subscription_details.subscription == subscription.id
    await world.standin.deliver_due()
    assert {"customer.subscription.created", "invoice.paid", "checkout.session.completed"} <= set(world.receiver.types)


async def test_only_a_card_is_offered_and_a_refusal_makes_nothing(world: World) -> None:
    session = await world.session(mode="subscription", line_items=[YEARLY])
    assert session.payment_method_types == ["card"]
    told = await world.control(f"sessions/{session.id}/pay", {"method": "card", "outcome": "declined"})
    assert (told["status"], told["subscription"]) == ("open", None)
    await world.control(f"sessions/{session.id}/pay", {"method": "card", "outcome": "pending"}, expect=400)


async def test_time_renews_it_on_the_same_day_each_year(world: World) -> None:
    subscription = await _begin(world)
    await world.standin.deliver_due()
    for year in (2027, 2028, 2029):
        assert world.standin.next_due() == START.replace(year=year)
        world.hands.at = START.replace(year=year)
        await world.standin.deliver_due()
    again = await world.client.v1.subscriptions.retrieve_async(subscription.id)
    assert (again.status, _end(again)) == ("active", START.replace(year=2030))
    invoices = await world.client.v1.invoices.list_async({"subscription": subscription.id})
    assert [row.billing_reason for row in invoices.data] == ["subscription_cycle"] * 3 + ["subscription_create"]


async def test_a_refused_renewal_is_past_due_tried_again_and_healed(world: World) -> None:
    subscription = await _begin(world)
    await world.standin.deliver_due()
    await world.control(f"subscriptions/{subscription.id}/renewal-outcome", {"outcome": "declined"})
    world.hands.at = START.replace(year=2027)
    await world.standin.deliver_due()
    read = world.client.v1.subscriptions.retrieve_async
    assert (await read(subscription.id)).status == "past_due"
    assert "invoice.payment_failed" in world.receiver.types
    await world.control(f"subscriptions/{subscription.id}/renewal-outcome", {"outcome": "succeeded"})
    world.hands.pass_by(days=3)
    await world.standin.deliver_due()
    assert (await read(subscription.id)).status == "active"


async def test_four_refusals_end_it(world: World) -> None:
    subscription = await _begin(world)
    await world.control(f"subscriptions/{subscription.id}/renewal-outcome", {"outcome": "declined"})
    world.hands.at = START.replace(year=2027)
    for _ in range(4):
        await world.standin.deliver_due()
        world.hands.pass_by(days=3)
    ended = await world.client.v1.subscriptions.retrieve_async(subscription.id)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "payment_failed")
    assert world.receiver.types.count("invoice.payment_failed") == 4
    assert world.receiver.types[-1] == "customer.subscription.deleted"


async def test_turning_renewal_off_keeps_the_period_and_can_be_taken_back(world: World) -> None:
    subscription = await _begin(world)
    change = world.client.v1.subscriptions.update_async
    off = await change(subscription.id, {"cancel_at_period_end": True})
    assert (off.status, off.cancel_at) == ("active", int(_end(subscription).timestamp()))
    on = await change(subscription.id, {"cancel_at_period_end": False})
    assert (on.cancel_at, on.canceled_at) == (None, None)
    await change(subscription.id, {"cancel_at_period_end": True})
    world.hands.at = START.replace(year=2027)
    await world.standin.deliver_due()
    assert world.receiver.types[-1] == "customer.subscription.deleted"
    assert (await world.client.v1.subscriptions.list_async()).data == []
    assert len((await world.client.v1.subscriptions.list_async({"status": "all"})).data) == 1


async def test_ending_it_now_ends_it_once(world: World) -> None:
    subscription = await _begin(world)
    assert (await world.client.v1.subscriptions.cancel_async(subscription.id)).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        await world.client.v1.subscriptions.cancel_async(subscription.id)


async def test_the_portal_page_turns_renewal_off_and_on(world: World) -> None:
    subscription = await _begin(world)
    portal = await world.client.v1.billing_portal.sessions.create_async(
        {"customer": subscription.customer, "return_url": "https://shop.example/account", "locale": "pl"}
    )
    page = await world.http.get(portal.url)
    assert "Wyłącz odnawianie" in page.text
    for action, off in (("cancel", True), ("resume", False)):
        answer = await world.http.post(portal.url, data={"subscription": subscription.id, "action": action})
        assert (answer.status_code, answer.headers["location"]) == (303, portal.url)
        now = await world.client.v1.subscriptions.retrieve_async(subscription.id)
        assert now.cancel_at_period_end is off


@pytest.mark.parametrize(
    ("start", "interval", "count", "end"),
    [
        ("2028-01-31T10:00", "month", 1, "2028-02-29T10:00"),
        ("2028-01-31T10:00", "month", 2, "2028-03-31T10:00"),
        ("2028-02-29T10:00", "year", 1, "2029-02-28T10:00"),
        ("2028-02-29T10:00", "year", 4, "2032-02-29T10:00"),
        ("2026-12-31T23:30", "month", 2, "2027-02-28T23:30"),
        ("2026-11-21T09:00", "week", 2, "2026-12-05T09:00"),
        ("2026-11-21T09:00", "day", 1, "2026-11-22T09:00"),
    ],
)
def test_periods_keep_the_day_of_the_anchor_where_the_month_has_it(
    start: str, interval: str, count: int, end: str
) -> None:
    first, last = (int(datetime.fromisoformat(f"{text}+00:00").timestamp()) for text in (start, end))
    assert after(first, interval, count) == last
