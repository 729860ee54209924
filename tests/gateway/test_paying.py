"""The life of a Checkout Session with the real client over real HTTP."""

import pytest
import stripe

from tests.gateway.world import World


async def test_a_session_is_open_unpaid_and_leads_to_the_page_to_pay_on(world: World) -> None:
    session = await world.session(metadata={"order": "ord_1"})
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 4499)
    assert session.url == f"{world.base}/pay/{session.id}"
    assert session.expires_at == int(world.hands.at.timestamp()) + 24 * 3600
    assert session.metadata.order == "ord_1"
    assert session.payment_method_types == ["card", "blik", "p24"]


@pytest.mark.parametrize("method", ["card", "blik", "p24"])
async def test_paying_completes_the_session_and_the_money_is_on_the_charge(world: World, method: str) -> None:
    session = await world.session(payment_intent_data={"metadata": {"order": "ord_1"}})
    await world.control(f"sessions/{session.id}/pay", {"method": method, "outcome": "succeeded"})
    done = await world.client.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge.balance_transaction", "line_items"]}
    )
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    charge = done.payment_intent.latest_charge
    assert charge.payment_method_details.type == method
    assert (charge.paid, charge.amount_captured) == (True, 4499)
    assert charge.balance_transaction.net == 4499 - charge.balance_transaction.fee
    assert done.payment_intent.metadata.order == "ord_1"
    assert done.line_items.data[0].amount_total == 4499
    await world.standin.deliver_due()
    assert world.receiver.types[-1] == "checkout.session.completed"
    assert {"charge.succeeded", "payment_intent.succeeded"} <= set(world.receiver.types)


@pytest.mark.parametrize("method", ["blik", "p24"])
@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "paid"), ("failed", "unpaid")])
async def test_a_delayed_payment_is_complete_but_unpaid_until_the_bank_answers_f37(
    world: World, method: str, outcome: str, status: str
) -> None:
    session = await world.session()
    told = await world.control(f"sessions/{session.id}/pay", {"method": method, "outcome": "pending"})
    assert (told["status"], told["payment_status"]) == ("complete", "unpaid")
    await world.standin.deliver_due()
    assert "payment_intent.succeeded" not in world.receiver.types
    world.hands.pass_by(days=2)
    told = await world.control(f"sessions/{session.id}/settle", {"outcome": outcome})
    assert told["payment_status"] == status
    await world.standin.deliver_due()
    assert world.receiver.types[-1] == f"checkout.session.async_payment_{outcome}"
    await world.control(f"sessions/{session.id}/settle", {"outcome": outcome}, expect=409)


async def test_a_refused_payment_leaves_the_session_open_and_the_next_try_pays_the_same_intent(world: World) -> None:
    session = await world.session()
    for method in ("card", "blik", "p24"):
        told = await world.control(f"sessions/{session.id}/pay", {"method": method, "outcome": "declined"})
        assert (told["status"], told["payment_status"]) == ("open", "unpaid")
    intent = await world.client.v1.payment_intents.retrieve_async(told["payment_intent"])
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    paid = await world.control(f"sessions/{session.id}/pay", {"method": "card", "outcome": "succeeded"})
    assert paid["payment_intent"] == intent.id
    await world.standin.deliver_due()
    assert world.receiver.types.count("payment_intent.payment_failed") == 3
    assert world.receiver.types.count("payment_intent.succeeded") == 1


async def test_paying_twice_late_or_nothing_at_all_is_refused_f38(world: World) -> None:
    pay = {"method": "card", "outcome": "succeeded"}
    first = await world.session()
    await world.control(f"sessions/{first.id}/pay", pay)
    await world.control(f"sessions/{first.id}/pay", pay, expect=409)
    second = await world.session()
    world.hands.pass_by(hours=24)
    await world.control(f"sessions/{second.id}/pay", pay, expect=409)
    await world.control("sessions/cs_test_unknown/pay", pay, expect=404)
    await world.control(f"sessions/{second.id}/settle", {"outcome": "succeeded"}, expect=409)


async def test_a_session_expires_when_its_time_has_come_or_when_told(world: World) -> None:
    early = await world.session(expires_at=int(world.hands.at.timestamp()) + 1800)
    late = await world.session()
    assert world.standin.next_due() is not None
    world.hands.pass_by(minutes=30)
    assert await world.standin.deliver_due() == 2
    assert world.receiver.types == ["checkout.session.expired"]
    assert (await world.client.v1.checkout.sessions.retrieve_async(early.id)).status == "expired"
    assert (await world.client.v1.checkout.sessions.expire_async(late.id)).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match=r"can be expired"):
        await world.client.v1.checkout.sessions.expire_async(late.id)


@pytest.mark.parametrize("seconds", [1799, 24 * 3600 + 1])
async def test_a_session_lives_between_half_an_hour_and_a_day(world: World, seconds: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.session(expires_at=int(world.hands.at.timestamp()) + seconds)
    assert refused.value.param == "expires_at"


async def test_payment_method_types_is_unknown_and_the_allowed_ones_filter(world: World) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.session(payment_method_types=["card"])
    assert (refused.value.http_status, refused.value.code) == (400, "parameter_unknown")
    assert refused.value.param == "payment_method_types"
    session = await world.session(allowed_payment_method_types=["blik", "card"])
    assert session.payment_method_types == ["card", "blik"]
    told = await world.control(f"sessions/{session.id}/pay", {"method": "p24", "outcome": "succeeded"}, expect=400)
    assert told["error"]["fields"] == ["method"]


async def test_less_than_two_zloty_cannot_be_asked_for(world: World) -> None:
    price: dict[str, object] = {"currency": "pln", "unit_amount": 199, "product_data": {"name": "Mało"}}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.session(line_items=[{"price_data": price, "quantity": 1}])
    assert refused.value.code == "amount_too_small"
    await world.session(line_items=[{"price_data": {**price, "unit_amount": 200}, "quantity": 1}])


async def test_what_is_asked_for_is_seen_in_the_requests(world: World) -> None:
    await world.session(payment_intent_data={"setup_future_usage": "off_session"}, line_items=[_line(2), _line(1)])
    told = await world.control("requests")
    asked = told["data"][-1]
    assert (asked["method"], asked["path"], asked["status"]) == ("POST", "/v1/checkout/sessions", 200)
    assert asked["form"]["payment_intent_data"] == {"setup_future_usage": "off_session"}
    assert [line["quantity"] for line in asked["form"]["line_items"]] == ["2", "1"]
    assert asked["idempotency_key"]
    assert asked["at"] == "2026-11-21T09:00:00Z"


def _line(quantity: int) -> dict[str, object]:
    product = {"name": "Mobilne dodatki"}
    return {"price_data": {"currency": "pln", "unit_amount": 4499, "product_data": product}, "quantity": quantity}


async def test_an_invoice_and_a_customer_are_made_when_asked_for(world: World) -> None:
    session = await world.session(invoice_creation={"enabled": True}, customer_email="anna@example.pl")
    told = await world.control(f"sessions/{session.id}/pay", {"method": "blik", "outcome": "succeeded"})
    invoice = await world.client.v1.invoices.retrieve_async(told["invoice"], {"expand": ["payments"]})
    assert (invoice.status, invoice.amount_paid, invoice.customer_email) == ("paid", 4499, "anna@example.pl")
    assert invoice.payments.data[0].payment.payment_intent == told["payment_intent"]
    assert told["customer_details"]["email"] == "anna@example.pl"


async def test_a_session_charges_the_prices_of_the_catalogue(world: World) -> None:
    product = await world.client.v1.products.create_async({"name": "Mobilne dodatki"})
    price = await world.client.v1.prices.create_async(
        {"product": product.id, "currency": "pln", "unit_amount": 4499, "lookup_key": "season-2026"}
    )
    session = await world.session(line_items=[{"price": price.id, "quantity": 3}])
    assert session.amount_total == 13497
    found = await world.client.v1.prices.list_async({"lookup_keys": ["season-2026"], "expand": ["data.product"]})
    assert [row.product.name for row in found.data] == ["Mobilne dodatki"]
    with pytest.raises(stripe.InvalidRequestError, match="No such price"):
        await world.session(line_items=[{"price": "price_none", "quantity": 1}])
