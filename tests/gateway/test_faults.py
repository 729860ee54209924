"""What goes wrong on demand: on the way in, on the way out, and with events (F27-F30, F34, F36)."""

from typing import Any

import pytest
import stripe

from tests.gateway.world import World

OPTIONS: Any = {"idempotency_key": "intent-1"}


async def _make(world: World) -> Any:
    return await world.client.v1.customers.create_async({"email": "anna@example.pl"}, OPTIONS)


async def _count(world: World) -> int:
    return len((await world.client.v1.customers.list_async()).data)


async def test_a_lost_answer_leaves_one_object_that_the_same_key_finds_f27(world: World) -> None:
    await world.control("faults", {"api": "timeout_after"})
    with pytest.raises(stripe.APIConnectionError):
        await _make(world)
    with pytest.raises(stripe.APIConnectionError):
        await world.client.v1.customers.list_async()
    await world.control("faults", {"api": "normal"})
    assert await _count(world) == 1
    found = await _make(world)
    assert found.last_response.headers["Idempotent-Replayed"] == "true"
    assert await _count(world) == 1


async def test_a_request_that_never_arrived_has_done_nothing_f28(world: World) -> None:
    await world.control("faults", {"api": "timeout_before"})
    with pytest.raises(stripe.APIConnectionError):
        await _make(world)
    await world.control("faults", {"api": "normal"})
    assert await _count(world) == 0
    made = await _make(world)
    assert "Idempotent-Replayed" not in made.last_response.headers
    told = await world.control("requests")
    assert [row["status"] for row in told["data"]] == [None, 200, 200]


async def test_too_many_requests_is_said_before_anything_is_done_or_kept_f30(world: World) -> None:
    await world.control("faults", {"api": "rate_limit"})
    with pytest.raises(stripe.RateLimitError) as refused:
        await _make(world)
    assert refused.value.http_status == 429
    assert '"code": "rate_limit"' in str(refused.value.http_body)
    await world.control("faults", {"api": "normal"})
    assert "Idempotent-Replayed" not in (await _make(world)).last_response.headers


async def test_a_server_error_does_nothing_to_reads_and_writes_alike_f29(world: World) -> None:
    await world.control("faults", {"api": "error_500"})
    with pytest.raises(stripe.APIError):
        await _make(world)
    with pytest.raises(stripe.APIError):
        await world.client.v1.customers.list_async()
    await world.control("faults", {"api": "normal"})
    assert await _count(world) == 0


async def test_faults_stay_until_changed_and_over_a_restart(world: World) -> None:
    await world.control("faults", {"api": "rate_limit"})
    await world.control("faults", {"webhooks": "hold"})
    world.restart()
    assert await world.control("faults") == {"webhooks": "hold", "api": "rate_limit"}


async def test_faults_do_not_touch_the_page_to_pay_on(world: World) -> None:
    session = await world.session()
    await world.control("faults", {"api": "timeout_before"})
    assert (await world.http.get(session.url)).status_code == 200


async def test_dropped_events_are_listed_as_undelivered_and_never_come_f34(world: World) -> None:
    await world.control("faults", {"webhooks": "drop"})
    await _make(world)
    await world.control("faults", {"webhooks": "normal"})
    await world.standin.deliver_due()
    assert world.receiver.letters == []
    missed = await world.client.v1.events.list_async({"delivery_success": False})
    assert [event.type for event in missed.data] == ["customer.created"]
    assert (await world.client.v1.events.list_async({"delivery_success": True})).data == []


async def test_held_events_come_in_order_when_the_hold_ends(world: World) -> None:
    await world.control("faults", {"webhooks": "hold"})
    await world.paid()
    assert await world.standin.deliver_due() == 0
    assert world.standin.next_due() is None
    await world.control("faults", {"webhooks": "normal"})
    await world.standin.deliver_due()
    listed = [event.type for event in (await world.client.v1.events.list_async()).data]
    assert world.receiver.types == listed[::-1]
    assert len(listed) == 4


async def test_duplicates_come_twice_with_one_id_f36(world: World) -> None:
    await world.control("faults", {"webhooks": "duplicate"})
    await _make(world)
    await world.standin.deliver_due()
    first, second = world.receiver.letters
    assert first.event["id"] == second.event["id"]


async def test_reordered_events_come_newest_first_f36(world: World) -> None:
    await world.control("faults", {"webhooks": "reorder"})
    await world.paid()
    await world.standin.deliver_due()
    assert world.receiver.types[0] == "checkout.session.completed"
    assert world.receiver.types[-1] == "payment_intent.created"


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("faults", {"webhooks": "sometimes"}, ["webhooks"]),
        ("faults", {"api": "normal", "mood": "bad", "webhooks": 1}, ["mood", "webhooks"]),
        ("sessions/{session}/pay", {"method": "cash", "outcome": "succeeded"}, ["method"]),
        ("sessions/{session}/pay", {"method": "card"}, ["outcome"]),
        ("sessions/{session}/pay", {"method": "card", "outcome": "pending"}, ["outcome"]),
        ("sessions/{session}/settle", {"outcome": "pending"}, ["outcome"]),
        ("charges/ch_1/dispute", {"outcome": "maybe"}, ["outcome"]),
        ("charges/ch_1/refund-outcome", {"outcome": ["failed"]}, ["outcome"]),
        ("payouts", {"include_pending": "yes"}, ["include_pending"]),
    ],
)
async def test_a_wrong_control_call_is_refused_by_the_names_of_its_fields(
    world: World, path: str, body: object, fields: list[str]
) -> None:
    session = await world.session()
    told = await world.control(path.format(session=session.id), body, expect=400)
    assert told["error"]["fields"] == fields


@pytest.mark.parametrize("path", ["charges/ch_none/dispute", "charges/ch_none/refund-outcome", "nothing"])
async def test_an_unknown_control_or_object_is_404(world: World, path: str) -> None:
    outcome = "failed" if "refund" in path else "won"
    await world.control(path, {"outcome": outcome}, expect=404)


async def test_a_control_call_that_is_not_json_is_refused(world: World) -> None:
    answer = await world.http.post(f"{world.base}/control/faults", content=b"api=normal")
    assert answer.status_code == 400
