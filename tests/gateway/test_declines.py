"""Renewals that the bank refuses: tried again, healed, given up, paid late."""

from datetime import datetime, timedelta

import pytest
import stripe

from tests.gateway.renewing import begin, instant, latest, line, live_until, price, read
from tests.gateway.world import START, World

RENEWAL = START.replace(year=2027) + timedelta(hours=1)
TRIES = [RENEWAL + timedelta(days=days) for days in (0, 3, 8, 15)]


async def _decline(world: World, outcome: str = "declined") -> str:
    subscription = await begin(world)
    await world.control(f"subscriptions/{subscription.id}/next_payment", {"outcome": outcome})
    return subscription.id


async def test_a_refused_renewal_is_past_due_tried_again_and_healed(world: World) -> None:
    subscription = await _decline(world)
    await live_until(world, TRIES[0])
    invoice = await latest(world, subscription)
    assert (await read(world, subscription)).status == "past_due"
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert instant(invoice.next_payment_attempt) == TRIES[1]
    await world.control(f"subscriptions/{subscription}/next_payment", {"outcome": "succeeded"})
    await live_until(world, TRIES[1])
    healed = await latest(world, subscription)
    assert (healed.id, healed.status, healed.attempt_count, healed.next_payment_attempt) == (
        invoice.id,
        "paid",
        2,
        None,
    )
    assert (await read(world, subscription)).status == "active"
    told = [name for name in world.receiver.types if name != "customer.updated"]
    assert told[-3:] == ["invoice.paid", "invoice.payment_succeeded", "customer.subscription.updated"]


async def test_every_try_is_a_charge_of_the_one_intent_at_its_own_day(world: World) -> None:
    subscription = await _decline(world, "expired_card")
    await live_until(world, TRIES[-1])
    invoice = await latest(world, subscription)
    intent = await world.client.v1.payment_intents.retrieve_async(invoice.payments.data[0].payment.payment_intent)
    charges = await world.client.v1.charges.list_async({"payment_intent": intent.id})
    assert [instant(charge.created) for charge in reversed(charges.data)] == TRIES
    assert {charge.failure_code for charge in charges.data} == {"expired_card"}
    assert intent.last_payment_error.decline_code == "expired_card"


async def test_after_the_last_try_it_ends_and_the_invoice_stays_open(world: World) -> None:
    subscription = await _decline(world)
    await live_until(world, TRIES[-1])
    ended = await read(world, subscription)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "payment_failed")
    assert world.receiver.types.count("invoice.payment_failed") == 4
    assert world.receiver.types[-1] == "customer.subscription.deleted"
    invoice = await latest(world, subscription)
    assert (invoice.status, invoice.auto_advance, invoice.next_payment_attempt) == ("open", False, None)
    await live_until(world, START.replace(year=2029))
    assert world.receiver.types.count("invoice.payment_failed") == 4


async def test_an_invoice_may_be_paid_after_its_subscription_has_ended_and_given_back(world: World) -> None:
    subscription = await _decline(world)
    await live_until(world, TRIES[1])
    await world.client.v1.subscriptions.cancel_async(subscription)
    await live_until(world, TRIES[-1])
    invoice = await latest(world, subscription)
    assert (invoice.status, invoice.auto_advance, invoice.attempt_count) == ("open", False, 2)
    await world.control(f"invoices/{invoice.id}/pay", {"outcome": "declined"})
    await world.control(f"invoices/{invoice.id}/pay", {})
    paid = await latest(world, subscription)
    assert (paid.status, (await read(world, subscription)).status) == ("paid", "canceled")
    await world.control(f"invoices/{invoice.id}/pay", {}, expect=409)
    intent = paid.payments.data[0].payment.payment_intent
    refund = await world.client.v1.refunds.create_async({"payment_intent": intent})
    assert (refund.amount, refund.status) == (4499, "succeeded")
    found = await world.client.v1.invoice_payments.list_async(
        {"payment": {"type": "payment_intent", "payment_intent": intent}}
    )
    assert [row.invoice for row in found.data] == [invoice.id]


@pytest.mark.parametrize("wish", ["unpaid", "past_due"])
async def test_the_account_may_wish_otherwise_than_to_end_it(world: World, wish: str) -> None:
    await world.control("renewals", {"given_up": wish})
    subscription = await _decline(world)
    await live_until(world, TRIES[-1])
    assert (await read(world, subscription)).status == wish
    invoice = await latest(world, subscription)
    await world.control(f"subscriptions/{subscription}/next_payment", {"outcome": "succeeded"})
    assert (await world.client.v1.invoices.pay_async(invoice.id)).status == "paid"
    assert (await read(world, subscription)).status == "active"


async def test_paying_by_hand_may_be_refused_and_that_is_remembered(world: World) -> None:
    subscription = await _decline(world)
    await live_until(world, TRIES[0])
    invoice = await latest(world, subscription)
    with pytest.raises(stripe.CardError) as refusal:
        await world.client.v1.invoices.pay_async(invoice.id)
    assert refusal.value.code == "card_declined"
    assert (await latest(world, subscription)).attempt_count == 2


async def test_a_week_shorter_than_the_retries_keeps_its_rhythm(world: World) -> None:
    subscription = await begin(world, line("week"))
    await world.control(f"subscriptions/{subscription.id}/next_payment", {"outcome": "declined"})
    await live_until(world, START + timedelta(days=15))
    invoices = await world.client.v1.invoices.list_async({"subscription": subscription.id})
    assert [row.status for row in invoices.data] == ["open", "open", "paid"]
    await world.control(f"subscriptions/{subscription.id}/next_payment", {"outcome": "succeeded"})
    await live_until(world, START + timedelta(days=19))
    assert (await read(world, subscription.id)).status == "active"


async def test_a_subscription_without_checkout_begins_with_the_customers_card(world: World) -> None:
    customer = await world.client.v1.customers.create_async({"email": "anna@example.pl"})
    attach = world.client.v1.payment_methods.attach_async
    good = await attach("pm_card_visa", {"customer": customer.id})
    bad = await attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    item = {"price": await price(world, "month", 1999)}
    create = world.client.v1.subscriptions.create_async
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        await create({"customer": customer.id, "items": [item]})
    await world.client.v1.customers.update_async(customer.id, {"invoice_settings": {"default_payment_method": good.id}})
    begun = await create({"customer": customer.id, "items": [item], "metadata": {"order": "ord_2"}})
    assert (begun.status, begun.metadata.order) == ("active", "ord_2")
    with pytest.raises(stripe.CardError):
        await create(
            {
                "customer": customer.id,
                "items": [item],
                "default_payment_method": bad.id,
                "payment_behavior": "error_if_incomplete",
            }
        )
    assert len((await world.client.v1.subscriptions.list_async({"customer": customer.id})).data) == 1
    waiting = await create({"customer": customer.id, "items": [item], "default_payment_method": bad.id})
    assert (waiting.status, (await latest(world, waiting.id)).status) == ("incomplete", "open")
    await live_until(world, START + timedelta(hours=23))
    assert (await read(world, waiting.id)).status == "incomplete_expired"
    assert (await latest(world, waiting.id)).status == "void"


async def test_a_list_is_found_by_state_customer_and_day(world: World) -> None:
    first, second = await begin(world), await begin(world, line("month"))
    find = world.client.v1.subscriptions.list_async
    assert [row.id for row in (await find({"customer": first.customer})).data] == [first.id]
    assert [row.id for row in (await find({"status": "active"})).data] == [second.id, first.id]
    day: datetime = START + timedelta(days=1)
    assert (await find({"created": {"gte": int(day.timestamp())}})).data == []
    late = int((START + timedelta(days=60)).timestamp())
    assert [row.id for row in (await find({"current_period_end": {"gt": late}})).data] == [first.id]
    assert [row.id for row in (await find({"price": second["items"].data[0].price.id})).data] == [second.id]
