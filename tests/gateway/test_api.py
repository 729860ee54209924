"""The door of the API, the catalogue, customers and lists."""

import ast
import contextlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from billing.sandbox import stripe as stripe_room
from billing.sandbox.stripe.errors import StripeError
from billing.sandbox.stripe.forms import decode
from tests.gateway.world import KEY, World, client_for


async def _get(world: World, path: str, **headers: str) -> httpx2.Response:
    return await world.http.get(f"{world.base}{path}", headers={"Authorization": f"Bearer {KEY}", **headers})


@pytest.mark.parametrize("key", ["", "sk_live_real", "pk_test_public", "nonsense"])
async def test_without_a_secret_test_key_nothing_is_answered_f31(world: World, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = await world.http.get(f"{world.base}/v1/customers", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert key == "" or key not in answer.text


async def test_the_library_meets_a_bad_key_as_an_authentication_error_f31(world: World) -> None:
    async with client_for(world.base, key="sk_live_x") as client:
        with pytest.raises(stripe.AuthenticationError):
            await client.v1.customers.list_async()


async def test_the_key_may_come_as_basic_authorization(world: World) -> None:
    answer = await world.http.get(f"{world.base}/v1/customers", auth=(KEY, ""))
    assert answer.status_code == 200


async def test_every_answer_names_its_request_and_version(world: World) -> None:
    answer = await _get(world, "/v1/customers")
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"
    old = await _get(world, "/v1/customers", **{"Stripe-Version": "2020-08-27"})
    assert old.status_code == 400


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/unicorns", 404), ("/v1/charges/ch_none", 404), ("/v1/prices?flavour=mint", 400)]
)
async def test_what_is_not_there_is_said_in_an_envelope(world: World, path: str, status: int) -> None:
    answer = await _get(world, path)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_an_unknown_parameter_is_named_wherever_it_stands(world: World) -> None:
    for given_, name in (
        ({"shoe_size": "38"}, "shoe_size"),
        ({"line_items": [{"quantity": 1, "colour": "red"}]}, "line_items[0][colour]"),
        ({"payment_intent_data": {"foo": {"bar": "1"}}}, "payment_intent_data[foo]"),
        ({"invoice_creation": {"enabled": True, "invoice_data": {"x": "1"}}}, "invoice_creation[invoice_data][x]"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await world.session(**given_)
        assert (refused.value.code, refused.value.param) == ("parameter_unknown", name)


@pytest.mark.parametrize("name", ["mode", "line_items", "success_url"])
async def test_a_missing_parameter_is_named(world: World, name: str) -> None:
    body = {"mode": "payment", "success_url": "https://shop.example/", "line_items[0][price]": "price_1"}
    kept = {key: value for key, value in body.items() if not key.startswith(name)}
    answer = await world.http.post(
        f"{world.base}/v1/checkout/sessions", data=kept, headers={"Authorization": f"Bearer {KEY}"}
    )
    assert answer.json()["error"]["code"] == "parameter_missing"
    assert answer.json()["error"]["param"] == name


async def test_a_body_that_is_not_a_form_is_refused(world: World) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    sent = await world.http.post(f"{world.base}/v1/customers", json={"email": "a@example.pl"}, headers=headers)
    assert sent.status_code == 400
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    huge = await world.http.post(f"{world.base}/v1/customers", content=b"a" * 1_100_000, headers=headers)
    assert huge.status_code == 413


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("expand[]=x&expand[]=y", {"expand": ["x", "y"]}),
        ("expand[0]=x&expand[1]=y.z", {"expand": ["x", "y.z"]}),
        ("l[1][q]=2&l[0][q]=1&l[0][p][c]=pln", {"l": [{"q": "1", "p": {"c": "pln"}}, {"q": "2"}]}),
        ("created%5Bgte%5D=5", {"created": {"gte": "5"}}),
        ("n=Za%C5%BC%C3%B3%C5%82%C4%87+g%C4%99%C5%9Bl%C4%85", {"n": "Zażółć gęślą"}),
    ],
)
def test_brackets_nest(raw: str, form: dict[str, object]) -> None:
    assert decode(raw) == form


@given(st.text(alphabet="ab[]=&%0159", max_size=60))
def test_any_form_is_decoded_or_refused_never_more(raw: str) -> None:
    with contextlib.suppress(StripeError):
        decode(raw)


async def _products(world: World, count: int) -> list[str]:
    return [(await world.client.v1.products.create_async({"name": f"P{n}"})).id for n in range(count)][::-1]


async def test_lists_are_newest_first_and_cursors_go_both_ways(world: World) -> None:
    keys = await _products(world, 5)
    first = await world.client.v1.products.list_async({"limit": 2})
    assert ([row.id for row in first.data], first.has_more, first.url) == (keys[:2], True, "/v1/products")
    rest = await world.client.v1.products.list_async({"limit": 3, "starting_after": keys[1]})
    assert ([row.id for row in rest.data], rest.has_more) == (keys[2:], False)
    back = await world.client.v1.products.list_async({"limit": 2, "ending_before": keys[4]})
    assert ([row.id for row in back.data], back.has_more) == (keys[2:4], True)
    everything = [row.id async for row in first.auto_paging_iter()]
    assert everything == keys


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"starting_after": "prod_none"}])
async def test_a_bad_page_is_refused(world: World, params: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await world.client.v1.products.list_async(params)


async def test_a_product_is_changed_listed_and_deleted(world: World) -> None:
    key = (await world.client.v1.products.create_async({"id": "prod_season", "name": "Sezon"})).id
    changed = await world.client.v1.products.update_async(
        key, {"name": "Sezon 2026/27", "active": False, "metadata": {"a": "1"}}
    )
    assert (changed.name, changed.active, changed.metadata.to_dict()) == ("Sezon 2026/27", False, {"a": "1"})
    assert (await world.client.v1.products.list_async({"active": True})).data == []
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        await world.client.v1.products.create_async({"id": "prod_season", "name": "Sezon"})
    assert (await world.client.v1.products.delete_async(key)).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such product"):
        await world.client.v1.products.retrieve_async(key)


async def test_a_lookup_key_belongs_to_one_price_and_can_move(world: World) -> None:
    product = (await _products(world, 1))[0]
    given_: Any = {"product": product, "currency": "pln", "unit_amount": 4499, "lookup_key": "season"}
    first = await world.client.v1.prices.create_async(given_)
    with pytest.raises(stripe.InvalidRequestError, match="already uses"):
        await world.client.v1.prices.create_async(given_)
    second = await world.client.v1.prices.create_async({**given_, "transfer_lookup_key": True})
    assert (await world.client.v1.prices.retrieve_async(first.id)).lookup_key is None
    listed = await world.client.v1.prices.list_async({"lookup_keys": ["season"]})
    assert [price.id for price in listed.data] == [second.id]
    assert not (await world.client.v1.prices.update_async(second.id, {"active": False})).active


async def test_a_customer_is_made_changed_found_and_deleted(world: World) -> None:
    made = await world.client.v1.customers.create_async(
        {"email": "anna@example.pl", "preferred_locales": ["pl"], "metadata": {"account": "a1", "old": "1"}}
    )
    changed = await world.client.v1.customers.update_async(
        made.id, {"email": "anna.nowa@example.pl", "metadata": {"old": ""}, "address": {"country": "PL"}}
    )
    assert (changed.email, changed.metadata.to_dict()) == ("anna.nowa@example.pl", {"account": "a1"})
    found = await world.client.v1.customers.list_async({"email": "anna.nowa@example.pl"})
    assert [row.id for row in found.data] == [made.id]
    assert (await world.client.v1.customers.delete_async(made.id)).deleted
    assert (await world.client.v1.customers.retrieve_async(made.id)).to_dict()["deleted"] is True


async def test_expansion_reaches_four_levels_and_refuses_what_is_no_object(world: World) -> None:
    charge = await world.paid()
    found = await world.client.v1.charges.retrieve_async(
        charge.id, {"expand": ["balance_transaction.source", "payment_intent.latest_charge", "refunds"]}
    )
    assert found.balance_transaction.source.id == charge.id
    assert found.refunds.data == []
    for path in ("status", "nothing", "a.b.c.d.e"):
        with pytest.raises(stripe.InvalidRequestError, match="expand"):
            await world.client.v1.charges.retrieve_async(charge.id, {"expand": [path]})


async def test_the_app_does_not_mind_where_it_is_mounted(world: World) -> None:
    root = world.base.removesuffix("/sandbox/stripe")
    for prefix in ("", "/sandbox/stripe", "/elsewhere"):
        answer = await world.http.get(f"{root}{prefix}/v1/products", headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200


async def test_a_restart_keeps_every_object(world: World) -> None:
    charge = await world.paid("p24")
    world.restart()
    again = await world.client.v1.charges.retrieve_async(charge.id)
    assert again.to_dict() == charge.to_dict()


def test_the_stand_in_knows_nothing_of_the_product() -> None:
    folder = Path(stripe_room.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            ours = [name for name in names if name.split(".")[0] in ("billing", "webhooks", "entitlements", "stripe")]
            assert all(name.startswith("billing.sandbox.stripe") for name in ours), (path.name, ours)
