"""What the gateway reads in lists and sets up once: events, products and prices, the account."""

from datetime import timedelta

import msgspec

from billing.payments.facts import API_VERSION, PriceFacts, ProductFacts
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import START, World
from tests.payments.orders import wanted
from tests.payments.test_gateway import pay


async def test_events_are_listed_oldest_first_as_a_webhook_would_carry_them(
    world: World, gateway: StripeGateway
) -> None:
    page = await gateway.open_checkout(wanted())
    await pay(world, page.session_id)
    events = await gateway.list_events(START - timedelta(hours=1), START + timedelta(hours=1))
    assert [event.created_at for event in events] == sorted(event.created_at for event in events)
    (completed,) = await gateway.list_events(START, START + timedelta(hours=1), ("checkout.session.completed",))
    assert msgspec.json.decode(completed.body)["data"]["object"]["id"] == page.session_id
    assert completed.event_id in {event.event_id for event in events}
    last = events[-1].created_at
    assert events == await gateway.list_events(START, last) + await gateway.list_events(last, last + timedelta(hours=1))


async def test_products_and_prices_are_made_once_and_found_by_name(gateway: StripeGateway) -> None:
    product = ProductFacts(product="addons", name="Mobilne dodatki")
    price = PriceFacts(lookup_key="addons.2026-27.4499.pln", product="addons", unit_amount=4499, currency="PLN")
    monthly = PriceFacts(
        lookup_key="addons.month.599.pln", product="addons", unit_amount=599, currency="PLN", interval="month"
    )
    assert await gateway.find_product("addons") is None
    assert await gateway.find_price(price.lookup_key) is None
    await gateway.put_product(product, "product-1")
    for thing in (price, monthly):
        await gateway.put_price(thing, f"price-{thing.lookup_key}")
        assert await gateway.find_price(thing.lookup_key) == thing
    await gateway.put_product(msgspec.structs.replace(product, name="Dodatki", active=False), "product-1")
    assert await gateway.find_product("addons") == ProductFacts(product="addons", name="Dodatki", active=False)
    off = msgspec.structs.replace(price, active=False)
    await gateway.put_price(off, "price-2")
    assert await gateway.find_price(price.lookup_key) == off


async def test_the_account_check_tells_mode_and_version(gateway: StripeGateway) -> None:
    facts = await gateway.account()
    assert (facts.livemode, facts.api_version) == (False, API_VERSION)
