"""BLIK that renews: a mandate given with the first payment, taken back in the bank, never above 2,000 zł."""

from datetime import timedelta
from typing import Any

import pytest
import stripe

from tests.gateway.renewing import begin, latest, line, live_until, read
from tests.gateway.world import START, World

BLIK: dict[str, Any] = {"allowed_payment_method_types": ["card", "blik"]}
RENEWAL = START.replace(year=2027) + timedelta(hours=1)


async def _mandate(world: World, subscription: Any) -> Any:
    invoice = await latest(world, subscription.id)
    return await world.client.v1.mandates.retrieve_async(invoice.payment_settings.default_mandate)


async def test_blik_is_offered_by_name_and_gives_a_mandate_that_renews(world: World) -> None:
    subscription = await begin(world, method="blik", **BLIK)
    mandate = await _mandate(world, subscription)
    assert (mandate.status, mandate.type, mandate.payment_method) == (
        "active",
        "multi_use",
        subscription.default_payment_method,
    )
    assert mandate.payment_method_details.blik.type == "off_session"
    await live_until(world, RENEWAL)
    assert (await latest(world, subscription.id)).status == "paid"


async def test_a_mandate_taken_back_in_the_bank_fails_the_next_payment_before_any_charge(world: World) -> None:
    subscription = await begin(world, method="blik", **BLIK)
    told = await world.control(f"subscriptions/{subscription.id}/mandate", {"status": "inactive"})
    await world.control(f"subscriptions/{subscription.id}/mandate", {"status": "inactive"})
    await world.standin.deliver_due()
    assert told["status"] == (await _mandate(world, subscription)).status == "inactive"
    assert world.receiver.types.count("mandate.updated") == 1
    assert (await read(world, subscription.id)).status == "active"
    await live_until(world, RENEWAL)
    invoice = await latest(world, subscription.id)
    intent = await world.client.v1.payment_intents.retrieve_async(invoice.payments.data[0].payment.payment_intent)
    assert (invoice.status, intent.last_payment_error.code) == ("open", "payment_intent_mandate_invalid")
    assert intent.latest_charge is None
    assert (await read(world, subscription.id)).status == "past_due"


async def test_a_mandate_ends_by_itself_on_the_day_it_was_given_until(world: World) -> None:
    until = START + timedelta(days=100)
    options = {"blik": {"mandate_options": {"expires_at": int(until.timestamp())}}}
    subscription = await begin(world, method="blik", payment_method_options=options, **BLIK)
    settings = subscription.payment_settings.payment_method_options.blik
    assert settings.mandate_options.expires_at == int(until.timestamp())
    await live_until(world, until - timedelta(seconds=1))
    assert (await _mandate(world, subscription)).status == "active"
    await live_until(world, until)
    assert (await _mandate(world, subscription)).status == "inactive"


async def test_above_two_thousand_zloty_blik_is_refused_at_the_beginning_and_at_a_renewal(world: World) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await world.session(mode="subscription", line_items=[line(amount=200_001)], **BLIK)
    assert refusal.value.code == "amount_too_large"
    subscription = await begin(world, line(amount=200_000), method="blik", **BLIK)
    item = subscription["items"].data[0].id
    await world.client.v1.subscription_items.update_async(item, {"quantity": 2, "proration_behavior": "none"})
    await live_until(world, RENEWAL)
    invoice = await latest(world, subscription.id)
    intent = await world.client.v1.payment_intents.retrieve_async(invoice.payments.data[0].payment.payment_intent)
    assert intent.last_payment_error.decline_code == "payment_limit_exceeded"


async def test_a_renewal_by_blik_may_be_refused_by_the_bank(world: World) -> None:
    subscription = await begin(world, method="blik", **BLIK)
    await world.control(f"subscriptions/{subscription.id}/next_payment", {"outcome": "declined"})
    await live_until(world, RENEWAL)
    invoice = await latest(world, subscription.id)
    intent = await world.client.v1.payment_intents.retrieve_async(invoice.payments.data[0].payment.payment_intent)
    assert intent.last_payment_error.decline_code == "insufficient_funds"


async def test_a_card_needs_no_mandate(world: World) -> None:
    subscription = await begin(world)
    await world.control(f"subscriptions/{subscription.id}/mandate", {"status": "inactive"}, expect=409)
