from datetime import timedelta
from uuid import UUID

import pytest

from billing.kernel.db import Database
from billing.payments import refunds, service
from billing.payments.calls import NeverMade, make_refund, open_checkout
from billing.payments.facts import Checkout, ProviderBusy, ProviderNotNow, ProviderRefused, ProviderUnknown
from billing.payments.rules import Intent, Refund
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import World
from tests.payments.orders import ORDER, wanted


async def reserve(database: Database, world: World, **changes: object) -> Intent:
    async with database.begin() as session:
        return await service.reserve(session, "checkout", ORDER, wanted(**changes), world.hands.at)


async def state_of(database: Database, intent: Intent) -> tuple[str, int]:
    async with database.begin() as session:
        now = await service.read_intent(session, intent.id)
    return now.state, now.tries


async def pages(world: World) -> int:
    return len((await world.client.v1.checkout.sessions.list_async()).data)


async def keys_sent(world: World, path: str) -> list[str]:
    asked = (await world.control("requests"))["data"]
    return [row["idempotency_key"] for row in asked if row["path"] == path and row["method"] == "POST"]


async def test_a_page_is_opened_once_and_read_ever_after(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    first = await open_checkout(database, gateway, intent.id, world.hands.at)
    again = await open_checkout(database, gateway, intent.id, world.hands.at)
    assert first.session_id == again.session_id
    assert await state_of(database, intent) == ("done", 1)
    assert await keys_sent(world, "/v1/checkout/sessions") == [intent.key]


async def test_f27_a_lost_answer_is_unknown_and_the_next_call_finds_the_same_page(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    await world.control("faults", {"api": "timeout_after"})
    with pytest.raises(ProviderUnknown):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    assert await state_of(database, intent) == ("unknown", 1)
    await world.control("faults", {"api": "normal"})
    assert (await open_checkout(database, gateway, intent.id, world.hands.at)).status == "open"
    assert await pages(world) == 1
    assert len(set(await keys_sent(world, "/v1/checkout/sessions"))) == 1


async def test_f28_after_a_request_that_never_arrived_the_same_key_succeeds(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    await world.control("faults", {"api": "timeout_before"})
    with pytest.raises(ProviderUnknown):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    await world.control("faults", {"api": "normal"})
    assert (await open_checkout(database, gateway, intent.id, world.hands.at)).status == "open"


async def test_f29_a_stored_500_leads_to_a_look_up_and_a_new_attempt_with_a_new_key(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    await world.control("faults", {"api": "error_500"})
    with pytest.raises(ProviderUnknown):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    await world.control("faults", {"api": "normal"})
    with pytest.raises(ProviderUnknown):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    with pytest.raises(NeverMade):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    assert (await state_of(database, intent))[0] == "refused"
    second = await reserve(database, world)
    assert second.attempt == 2
    assert (await open_checkout(database, gateway, second.id, world.hands.at)).status == "open"
    assert await keys_sent(world, "/v1/checkout/sessions") == [intent.key, intent.key, second.key]


async def test_a_page_that_was_opened_after_all_is_found_by_its_reference(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    await world.control("faults", {"api": "timeout_after"})
    for _ in range(2):
        with pytest.raises(ProviderUnknown):
            await open_checkout(database, gateway, intent.id, world.hands.at)
    await world.control("faults", {"api": "normal"})
    found = await open_checkout(database, gateway, intent.id, world.hands.at)
    assert (found.reference, found.status) == (intent.request["reference"], "open")
    assert await state_of(database, intent) == ("done", 2)
    assert await pages(world) == 1


async def test_f30_too_many_calls_leave_the_intent_as_it_was(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    await world.control("faults", {"api": "rate_limit"})
    with pytest.raises(ProviderBusy):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    assert await state_of(database, intent) == ("new", 0)


async def test_f31_a_key_that_is_not_accepted_leaves_the_next_attempt_another_key(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    await world.control("faults", {"api": "unauthorized"})
    with pytest.raises(ProviderNotNow):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    await world.control("faults", {"api": "normal"})
    again = await reserve(database, world)
    assert again.key != intent.key
    assert (await open_checkout(database, gateway, again.id, world.hands.at)).status == "open"


async def test_i15_f31_a_key_that_is_not_accepted_says_nothing_of_an_earlier_send(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    for fault, told in (("timeout_after", ProviderUnknown), ("unauthorized", ProviderNotNow)):
        await world.control("faults", {"api": fault})
        with pytest.raises(told):
            await open_checkout(database, gateway, intent.id, world.hands.at)
    assert await state_of(database, intent) == ("unknown", 1)
    await world.control("faults", {"api": "normal"})
    assert (await reserve(database, world)).id == intent.id
    await open_checkout(database, gateway, intent.id, world.hands.at)
    assert await pages(world) == 1


async def test_f31_a_refused_page_is_over_and_the_next_attempt_is_another(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world, unit_amount=50, quantity=1, total=50)
    with pytest.raises(ProviderRefused):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    with pytest.raises(NeverMade):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    assert (await reserve(database, world)).attempt == 2


async def test_f35_a_key_of_23_hours_is_never_sent_only_looked_up(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    intent = await reserve(database, world)
    await world.control("faults", {"api": "timeout_after"})
    with pytest.raises(ProviderUnknown):
        await open_checkout(database, gateway, intent.id, world.hands.at)
    await world.control("faults", {"api": "normal"})
    world.hands.pass_by(hours=25)
    found = await open_checkout(database, gateway, intent.id, world.hands.at)
    assert found.reference == intent.request["reference"]
    assert await keys_sent(world, "/v1/checkout/sessions") == [intent.key]
    assert await pages(world) == 1


async def test_private_fields_are_sent_and_not_kept(database: Database, world: World, gateway: StripeGateway) -> None:
    intent = await reserve(database, world)
    back = {"success_url": "https://shop.example/orders/secret", "cancel_url": "https://shop.example/orders/secret"}
    await open_checkout(database, gateway, intent.id, world.hands.at, private=back)
    async with database.begin() as session:
        assert "secret" not in str((await service.read_intent(session, intent.id)).request)
    (sent,) = (await world.client.v1.checkout.sessions.list_async()).data
    assert sent.success_url == back["success_url"]


async def paid_refund(database: Database, world: World, gateway: StripeGateway) -> tuple[Refund, UUID]:
    """A refund of a whole paid order, reserved, with its intent."""
    intent = await reserve(database, world)
    page = await open_checkout(database, gateway, intent.id, world.hands.at)
    await world.control(f"sessions/{page.session_id}/pay", {"method": "card", "outcome": "succeeded"})
    paid: Checkout = await gateway.read_checkout(page.session_id)
    assert paid.payment is not None
    async with database.begin() as session:
        payment, _ = await service.record_payment(session, ORDER, paid.payment, world.hands.at)
        refund, _ = await refunds.reserve_refund(session, payment.id, 8998, "withdrawal", "anna", world.hands.at)
        refund_intent = await refunds.refund_intent(session, refund, world.hands.at)
    return refund, refund_intent.id


async def test_a_refund_is_made_once_through_every_lost_answer(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    refund, intent = await paid_refund(database, world, gateway)
    await world.control("faults", {"api": "timeout_after"})
    for _ in range(2):
        with pytest.raises(ProviderUnknown):
            await make_refund(database, gateway, intent, world.hands.at)
    await world.control("faults", {"api": "normal"})
    made = await make_refund(database, gateway, intent, world.hands.at)
    assert (made.state, made.reference) == ("succeeded", refund.public_id)
    assert len((await world.client.v1.refunds.list_async()).data) == 1


async def test_a_refund_is_not_found_only_after_it_could_have_settled(
    database: Database, world: World, gateway: StripeGateway
) -> None:
    _, intent = await paid_refund(database, world, gateway)
    await world.control("faults", {"api": "error_500"})
    for _ in range(2):
        with pytest.raises(ProviderUnknown):
            await make_refund(database, gateway, intent, world.hands.at)
    await world.control("faults", {"api": "normal"})
    with pytest.raises(ProviderUnknown):
        await make_refund(database, gateway, intent, world.hands.at + timedelta(seconds=59))
    with pytest.raises(NeverMade):
        await make_refund(database, gateway, intent, world.hands.at + timedelta(seconds=60))
