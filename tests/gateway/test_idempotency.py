"""Keys: the first answer is kept and replayed, also a 500, for a day of the stand-in's clock."""

from typing import Any

import httpx2
import pytest
import stripe

from tests.gateway.world import KEY, World

BODY = {"email": "anna@example.pl"}


async def _ask(world: World, key: str, body: dict[str, str] | None = None, path: str = "customers") -> httpx2.Response:
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
    return await world.http.post(f"{world.base}/v1/{path}", data=BODY if body is None else body, headers=headers)


async def _customers(world: World) -> int:
    return len((await world.client.v1.customers.list_async()).data)


async def test_the_same_key_gives_the_same_answer_and_one_object_f27(world: World) -> None:
    first, second = await _ask(world, "k1"), await _ask(world, "k1")
    assert first.content == second.content
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert first.headers["request-id"] != second.headers["request-id"]
    assert await _customers(world) == 1


async def test_another_body_or_path_under_the_key_is_refused(world: World) -> None:
    await _ask(world, "k1")
    for body, path in (({"email": "ewa@example.pl"}, "customers"), ({"name": "x"}, "products")):
        answer = await _ask(world, "k1", body, path)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "idempotency_error"
    assert await _customers(world) == 1


async def test_the_order_of_parameters_does_not_make_another_body(world: World) -> None:
    one = await _ask(world, "k1", {"email": "a@example.pl", "name": "Anna"})
    two = await _ask(world, "k1", {"name": "Anna", "email": "a@example.pl"})
    assert one.content == two.content


async def test_a_500_is_kept_and_replayed_after_the_trouble_is_over_f29(world: World) -> None:
    await world.control("faults", {"api": "error_500"})
    assert (await _ask(world, "k1")).status_code == 500
    await world.control("faults", {"api": "normal"})
    again = await _ask(world, "k1")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (500, "true")
    assert (await _ask(world, "k2")).status_code == 200
    assert await _customers(world) == 1


async def test_a_key_is_forgotten_after_a_day_and_makes_a_second_object_f35(world: World) -> None:
    await _ask(world, "k1")
    world.hands.pass_by(hours=23, minutes=59)
    assert (await _ask(world, "k1")).headers.get("idempotent-replayed") == "true"
    world.hands.pass_by(minutes=2)
    assert "idempotent-replayed" not in (await _ask(world, "k1")).headers
    assert await _customers(world) == 2


async def test_a_refusal_before_execution_is_not_kept_but_one_while_executing_is(world: World) -> None:
    assert (await _ask(world, "k1", {"shoe_size": "38"})).status_code == 400
    assert (await _ask(world, "k1")).status_code == 200
    charge = await world.paid()
    assert (await _ask(world, "k2", {"charge": charge.id, "amount": "9999"}, "refunds")).status_code == 400
    kept = await _ask(world, "k2", {"charge": charge.id, "amount": "9999"}, "refunds")
    assert kept.headers["idempotent-replayed"] == "true"


async def test_the_library_meets_the_conflict_as_its_own_error(world: World) -> None:
    options: Any = {"idempotency_key": "k1"}
    await world.client.v1.customers.create_async({"email": "a@example.pl"}, options)
    with pytest.raises(stripe.IdempotencyError):
        await world.client.v1.customers.create_async({"email": "b@example.pl"}, options)


async def test_keys_survive_a_restart(world: World) -> None:
    first = await _ask(world, "k1")
    world.restart()
    second = await _ask(world, "k1")
    assert (first.content, second.headers["idempotent-replayed"]) == (second.content, "true")


@pytest.mark.parametrize("key", ["k" * 256])
async def test_a_key_of_more_than_255_characters_is_refused(world: World, key: str) -> None:
    assert (await _ask(world, key)).status_code == 400
