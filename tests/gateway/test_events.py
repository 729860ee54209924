"""Events: signed, in time, tried again for three days, listed for thirty."""

import asyncio
import contextlib
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from billing.sandbox.stripe.deliveries import GIVE_UP, next_try, signature
from tests.gateway.world import SECRET, World


async def _make(world: World) -> Any:
    return await world.client.v1.customers.create_async({"email": "anna@example.pl"})


async def test_an_event_is_signed_as_the_library_checks_it(world: World) -> None:
    customer = await _make(world)
    assert await world.standin.deliver_due() == 1
    letter = world.receiver.letters[0]
    # The clock of the test stands still in its own time, so the age of the signature cannot be judged here.
    assert stripe.WebhookSignature.verify_header(letter.body.decode(), letter.signature, SECRET, tolerance=None)
    assert letter.signature.startswith(f"t={int(world.hands.at.timestamp())},v1=")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(letter.body.decode() + " ", letter.signature, SECRET)
    event = letter.event
    assert (event["type"], event["api_version"]) == ("customer.created", "2026-10-28.endive")
    assert event["data"]["object"]["id"] == customer.id
    assert event["request"]["id"] == customer.last_response.request_id
    assert event["request"]["idempotency_key"] == customer.last_response.headers["Idempotency-Key"]


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40), st.integers(1, 4_000_000_000))
def test_every_signature_is_one_the_library_accepts(body: bytes, secret: str, stamp: int) -> None:
    text = body.decode("latin-1")
    header = signature(text.encode(), f"whsec_{secret}", stamp)
    assert stripe.WebhookSignature.verify_header(text, header, f"whsec_{secret}", tolerance=None)


async def test_an_event_leaves_within_a_moment_of_real_time(world: World) -> None:
    running = asyncio.create_task(world.standin.run())
    try:
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        await _make(world)
        await world.receiver.arrived.wait()
        assert asyncio.get_running_loop().time() - began < 1
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_the_background_loop_notices_that_the_clock_was_moved(world: World) -> None:
    await world.session()
    running = asyncio.create_task(world.standin.run())
    try:
        world.hands.pass_by(hours=24)
        await asyncio.wait_for(world.receiver.arrived.wait(), 5)
        assert world.receiver.types == ["checkout.session.expired"]
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_refused_event_is_tried_again_with_growing_gaps_for_three_days_and_then_given_up(world: World) -> None:
    world.receiver.statuses = [500] * 100
    world.hands.pass_by(microseconds=333_333)
    await _make(world)
    await world.standin.deliver_due()
    start, gaps = world.hands.at, list[timedelta]()
    while (due := world.standin.next_due()) is not None:
        gaps.append(due - world.hands.at)
        world.hands.at = due
        assert await world.standin.deliver_due() == 1
    assert gaps[:3] == [timedelta(seconds=15), timedelta(minutes=5), timedelta(minutes=30)]
    assert all(earlier <= later for earlier, later in pairwise(gaps))
    assert timedelta(hours=60) < world.hands.at - start <= timedelta(days=3)
    assert {letter.event["id"] for letter in world.receiver.letters} == {world.receiver.letters[0].event["id"]}
    assert [row["state"] for row in (await world.control("deliveries"))["data"]] == ["failed"]
    stamps = [int(letter.signature.split(",")[0][2:]) for letter in world.receiver.letters]
    assert stamps == [int(letter.at.timestamp()) for letter in world.receiver.letters]


@given(st.floats(0, 2e9), st.integers(1, 12))
def test_no_try_is_planned_beyond_three_days_nor_in_the_past(born: float, attempts: int) -> None:
    for late in (0, 3600, GIVE_UP // 2, GIVE_UP - 1):
        again = next_try(born, born + late, attempts)
        assert again is None or born + late < again <= born + GIVE_UP


async def test_an_event_is_taken_at_the_second_try_and_then_counts_as_delivered(world: World) -> None:
    world.receiver.statuses = [503]
    made = await _make(world)
    await world.standin.deliver_due()
    event = (await world.client.v1.events.list_async()).data[0]
    assert event.pending_webhooks == 1
    world.hands.pass_by(minutes=5)
    assert await world.standin.deliver_due() == 1
    again = await world.client.v1.events.retrieve_async(event.id)
    assert (again.pending_webhooks, again.data.object["id"]) == (0, made.id)
    assert len((await world.client.v1.events.list_async({"delivery_success": True})).data) == 1


async def test_an_event_waits_while_the_product_is_gone_and_the_stand_in_is_restarted(world: World) -> None:
    world.receiver.statuses = [500]
    await _make(world)
    await world.standin.deliver_due()
    world.restart()
    world.hands.pass_by(minutes=5)
    assert await world.standin.deliver_due() == 1
    assert world.receiver.types == ["customer.created", "customer.created"]


async def test_events_are_listed_by_type_and_read_forward_from_a_cursor(world: World) -> None:
    await _make(world)
    await world.paid()
    await world.paid()
    first = (await world.client.v1.events.list_async({"limit": 100})).data[-1]
    completed = await world.client.v1.events.list_async({"types": ["checkout.session.completed", "charge.succeeded"]})
    assert len(completed.data) == 4
    newer = await world.client.v1.events.list_async({"ending_before": first.id, "limit": 3})
    assert (len(newer.data), newer.has_more) == (3, True)
    seen = [event.type async for event in newer.auto_paging_iter()]
    assert len(seen) == 8
    assert seen[-1] == "checkout.session.completed"


async def test_events_older_than_thirty_days_are_gone(world: World) -> None:
    await _make(world)
    event = (await world.client.v1.events.list_async()).data[0]
    world.hands.pass_by(days=30)
    assert len((await world.client.v1.events.list_async()).data) == 1
    world.hands.pass_by(seconds=1)
    assert (await world.client.v1.events.list_async()).data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        await world.client.v1.events.retrieve_async(event.id)


async def test_another_endpoint_gets_only_what_it_asked_for_under_its_own_secret(world: World) -> None:
    made = await world.client.v1.webhook_endpoints.create_async(
        {"url": world.hook, "enabled_events": ["customer.created"]}
    )
    await world.paid()
    await world.standin.deliver_due()
    before = len(world.receiver.letters)
    await _make(world)
    await world.standin.deliver_due()
    fresh = world.receiver.letters[before:]
    assert len(fresh) == 2
    assert made.secret is not None
    assert stripe.WebhookSignature.verify_header(
        fresh[1].body.decode(), fresh[1].signature, made.secret, tolerance=None
    )
    shown = await world.client.v1.webhook_endpoints.retrieve_async(made.id)
    assert "secret" not in shown.to_dict()
    assert (await world.client.v1.webhook_endpoints.delete_async(made.id)).deleted
