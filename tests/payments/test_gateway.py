from datetime import timedelta
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from billing.payments import shapes
from billing.payments.facts import (
    OpenRefund,
    ProviderBusy,
    ProviderMissing,
    ProviderNotNow,
    ProviderRefused,
    ProviderUnknown,
    ProviderUnreadable,
)
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import START, World
from tests.payments.orders import ORDER, wanted


async def pay(world: World, session: str, method: str = "card", outcome: str = "succeeded") -> None:
    await world.control(f"sessions/{session}/pay", {"method": method, "outcome": outcome})


async def last_form(world: World, path: str) -> dict[str, Any]:
    asked = (await world.control("requests"))["data"]
    return next(row["form"] for row in reversed(asked) if row["path"] == path and row["method"] == "POST")


async def test_a_page_is_opened_for_exactly_what_was_asked(world: World, gateway: StripeGateway) -> None:
    page = await gateway.open_checkout(wanted())
    assert (page.status, page.payment_status, page.amount_total, page.currency) == ("open", "unpaid", 8998, "PLN")
    assert (page.reference, page.order, page.livemode, page.payment) == (wanted().reference, ORDER, False, None)
    assert page.url is not None
    assert page.expires_at == START + timedelta(hours=23)


async def test_r4_r37_r52_r61_the_request_stores_no_method_names_nobody_and_makes_no_invoice(
    world: World, gateway: StripeGateway
) -> None:
    await gateway.open_checkout(wanted(statement_text="DODATKI"))
    form = await last_form(world, "/v1/checkout/sessions")
    assert form["mode"] == "payment"
    methods = form["allowed_payment_method_types"]
    assert sorted(methods.values() if isinstance(methods, dict) else methods) == ["blik", "card", "p24"]
    assert form["payment_intent_data"]["statement_descriptor_suffix"] == "DODATKI"
    said = msgspec.json.encode(form).decode()
    for word in ("setup_future_usage", "invoice_creation", "customer", "email", 'payment_method_types":null'):
        assert word not in said
    (row,) = [row for row in (await world.control("requests"))["data"] if row["method"] == "POST"]
    assert row["idempotency_key"] == wanted().key


async def test_r59_a_text_that_may_not_fit_beside_the_prefix_is_left_to_the_account(
    world: World, gateway: StripeGateway
) -> None:
    await gateway.open_checkout(wanted(statement_text="MOBILNE DODATKI"))
    form = await last_form(world, "/v1/checkout/sessions")
    assert "statement_descriptor_suffix" not in form["payment_intent_data"]


@pytest.mark.parametrize("locale", ["pl", "en", "uk"])
async def test_a_page_opens_in_every_language_we_speak(gateway: StripeGateway, locale: str) -> None:
    assert (await gateway.open_checkout(wanted(locale=locale))).url


@pytest.mark.parametrize("method", ["card", "blik", "p24"])
async def test_a_paid_page_tells_of_its_money(world: World, gateway: StripeGateway, method: str) -> None:
    page = await gateway.open_checkout(wanted())
    await pay(world, page.session_id, method)
    paid = await gateway.read_checkout(page.session_id)
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    payment = paid.payment
    assert payment is not None
    assert (payment.amount, payment.amount_refunded, payment.currency, payment.method) == (8998, 0, "PLN", method)
    assert payment.captured_at == START
    assert await gateway.read_payment(payment.payment_id) == payment
    assert await gateway.checkout_of(payment.payment_id) == paid


async def test_r53_a_waiting_payment_is_no_money_and_a_refused_one_says_so(
    world: World, gateway: StripeGateway
) -> None:
    page = await gateway.open_checkout(wanted())
    await pay(world, page.session_id, "p24", "pending")
    waiting = await gateway.read_checkout(page.session_id)
    assert (waiting.status, waiting.payment_status, waiting.payment) == ("complete", "unpaid", None)
    assert not waiting.payment_failed
    await world.control(f"sessions/{page.session_id}/settle", {"outcome": "failed"})
    failed = await gateway.read_checkout(page.session_id)
    assert (failed.payment_status, failed.payment, failed.payment_failed) == ("unpaid", None, True)


async def test_a_declined_card_leaves_the_page_open(world: World, gateway: StripeGateway) -> None:
    page = await gateway.open_checkout(wanted())
    await pay(world, page.session_id, "card", "declined")
    again = await gateway.read_checkout(page.session_id)
    assert (again.status, again.payment, again.payment_failed) == ("open", None, False)


async def test_a_page_is_found_again_by_its_reference_among_others(world: World, gateway: StripeGateway) -> None:
    page = await gateway.open_checkout(wanted())
    for number in range(3):
        await gateway.open_checkout(wanted(key=f"other-{number}", reference=f"int_other{number}"))
    found = await gateway.find_checkout(wanted().reference, START)
    assert found is not None
    assert found.session_id == page.session_id
    assert await gateway.find_checkout("int_nobody", START) is None
    assert await gateway.find_checkout(wanted().reference, START + timedelta(seconds=1)) is None


async def test_looking_for_a_page_reads_the_list_to_its_end(world: World, gateway: StripeGateway) -> None:
    page = await gateway.open_checkout(wanted())
    for number in range(101):
        world.hands.pass_by(seconds=1)
        await gateway.open_checkout(wanted(key=f"other-{number}", reference=f"int_other{number}"))
    found = await gateway.find_checkout(wanted().reference, START)
    assert found is not None
    assert found.session_id == page.session_id


async def test_an_open_page_is_closed_and_a_paid_one_is_told_as_it_stands(world: World, gateway: StripeGateway) -> None:
    page = await gateway.open_checkout(wanted())
    assert (await gateway.expire_checkout(page.session_id, "expire-1")).status == "expired"
    assert (await gateway.expire_checkout(page.session_id, "expire-2")).status == "expired"
    other = await gateway.open_checkout(wanted(key="checkout-2"))
    await pay(world, other.session_id)
    told = await gateway.expire_checkout(other.session_id, "expire-3")
    assert (told.status, told.payment_status) == ("complete", "paid")
    with pytest.raises(ProviderMissing):
        await gateway.expire_checkout("cs_test_none", "expire-4")


async def test_money_is_given_back_found_again_and_never_twice_under_one_key(
    world: World, gateway: StripeGateway
) -> None:
    page = await gateway.open_checkout(wanted())
    await pay(world, page.session_id)
    paid = await gateway.read_checkout(page.session_id)
    assert paid.payment is not None
    asked = OpenRefund(key="refund-1", reference="ref_1", payment_id=paid.payment.payment_id, amount=4499, order=ORDER)
    made = await gateway.refund(asked)
    assert (made.state, made.amount, made.reference, made.payment_id) == (
        "succeeded", 4499, "ref_1", paid.payment.payment_id,
    )  # fmt: skip
    assert (await gateway.refund(asked)).refund_id == made.refund_id
    assert await gateway.read_refund(made.refund_id) == made
    assert await gateway.find_refund(paid.payment.payment_id, "ref_1") == made
    assert await gateway.find_refund(paid.payment.payment_id, "ref_2") is None
    after = await gateway.read_payment(paid.payment.payment_id)
    assert after is not None
    assert after.amount_refunded == 4499
    with pytest.raises(ProviderRefused):
        await gateway.refund(msgspec.structs.replace(asked, key="refund-2", reference="ref_2", amount=4500))


async def test_r60_a_dispute_is_read_with_its_payment(world: World, gateway: StripeGateway) -> None:
    charge = await world.paid()
    opened = await world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"})
    facts = await gateway.read_dispute(opened["id"])
    assert (facts.state, facts.charge_id, facts.amount) == ("needs_response", charge.id, 4499)
    payment = await gateway.read_payment(charge.payment_intent)
    assert payment is not None
    assert payment.disputed


async def test_f27_after_a_lost_answer_the_same_key_gives_the_same_page(world: World, gateway: StripeGateway) -> None:
    await world.control("faults", {"api": "timeout_after"})
    with pytest.raises(ProviderUnknown):
        await gateway.open_checkout(wanted())
    await world.control("faults", {"api": "normal"})
    page = await gateway.open_checkout(wanted())
    assert len((await world.client.v1.checkout.sessions.list_async()).data) == 1
    assert page.reference == wanted().reference


async def test_f28_a_request_that_never_arrived_is_unknown_and_can_be_sent_again(
    world: World, gateway: StripeGateway
) -> None:
    await world.control("faults", {"api": "timeout_before"})
    with pytest.raises(ProviderUnknown):
        await gateway.open_checkout(wanted())
    await world.control("faults", {"api": "normal"})
    assert (await gateway.open_checkout(wanted())).status == "open"


async def test_f29_a_500_is_unknown_and_is_replayed_under_its_key(world: World, gateway: StripeGateway) -> None:
    await world.control("faults", {"api": "error_500"})
    with pytest.raises(ProviderUnknown):
        await gateway.open_checkout(wanted())
    await world.control("faults", {"api": "normal"})
    with pytest.raises(ProviderUnknown):
        await gateway.open_checkout(wanted())
    assert await gateway.find_checkout(wanted().reference, START) is None


async def test_f30_too_many_calls_are_repeated_a_few_times_and_then_told(world: World, gateway: StripeGateway) -> None:
    await world.control("faults", {"api": "rate_limit"})
    with pytest.raises(ProviderBusy) as busy:
        await gateway.open_checkout(wanted())
    assert busy.value.retry_after == 5
    asked = [row for row in (await world.control("requests"))["data"] if row["method"] == "POST"]
    assert [row["idempotency_key"] for row in asked] == [wanted().key] * 3


async def test_f31_a_key_that_is_not_accepted_is_no_word_on_what_was_asked_and_a_bad_request_is(
    world: World, gateway: StripeGateway
) -> None:
    stranger = StripeGateway("pk_live_nobody", world.base, timeout=3)
    with capture_logs() as lines, pytest.raises(ProviderNotNow) as told:
        await stranger.account()
    await stranger.close()
    assert told.value.facts["provider_status"] == 401
    assert "pk_live" not in told.value.detail
    assert [(line["event"], line["log_level"]) for line in lines] == [("provider_needs_people", "error")]
    assert "pk_live" not in str(lines)
    with pytest.raises(ProviderRefused) as bad:
        await gateway.open_checkout(wanted(unit_amount=50, quantity=1, total=50))
    assert bad.value.status == 400
    with pytest.raises(ProviderMissing):
        await gateway.read_checkout("cs_test_none")
    with pytest.raises(ProviderMissing):
        await gateway.read_refund("re_none")


async def test_one_key_with_two_bodies_is_unknown_since_the_first_may_have_been_done(gateway: StripeGateway) -> None:
    await gateway.open_checkout(wanted())
    with pytest.raises(ProviderUnknown):
        await gateway.open_checkout(wanted(quantity=1, total=4499))


async def test_nobody_at_home_is_unknown() -> None:
    gateway = StripeGateway("sk_test_x", "http://127.0.0.1:9", timeout=1)
    with pytest.raises(ProviderUnknown):
        await gateway.read_checkout("cs_test_1")
    await gateway.close()


async def test_i16_a_page_that_asks_for_another_total_is_not_used(gateway: StripeGateway) -> None:
    with pytest.raises(ProviderUnreadable):
        await gateway.open_checkout(wanted(total=1))


async def test_r62_objects_of_another_mode_are_refused(world: World, gateway: StripeGateway) -> None:
    page = await world.session()
    raw = page.to_dict(for_json=True)
    assert shapes.checkout(raw, livemode=False)
    with pytest.raises(ProviderUnreadable):
        shapes.checkout(raw, livemode=True)


async def test_f32_a_field_more_or_less_is_tolerated_or_told_by_name_never_a_surprise(world: World) -> None:
    charge = await world.paid()
    sessions = await world.client.v1.checkout.sessions.list_async({"payment_intent": charge.payment_intent})
    page = await world.client.v1.checkout.sessions.retrieve_async(
        sessions.data[0].id, {"expand": ["payment_intent.latest_charge"]}
    )
    raw = page.to_dict(for_json=True)
    whole = shapes.checkout(raw, livemode=False)
    assert shapes.checkout({**raw, "surprise": {"a": 1}}, livemode=False) == whole
    needed: set[str] = set()
    for name in raw:
        less = {key: value for key, value in raw.items() if key != name}
        try:
            shapes.checkout(less, livemode=False)
        except ProviderUnreadable:
            needed.add(name)
    assert needed == {"id", "livemode", "created", "expires_at", "payment_status", "status", "amount_total"}
    with pytest.raises(ProviderUnreadable):
        shapes.checkout({**raw, "status": "half_open"}, livemode=False)
    with pytest.raises(ProviderUnreadable):
        shapes.checkout({**raw, "created": 10**30}, livemode=False)
