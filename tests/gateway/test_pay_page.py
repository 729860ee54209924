"""The page a parent would pay on: Polish, without a script, marked as the sandbox."""

import re

import pytest

from tests.gateway.world import World


async def test_the_page_says_what_is_paid_how_and_that_it_is_a_sandbox(world: World) -> None:
    session = await world.session()
    page = await world.http.get(session.url)
    assert page.status_code == 200
    for words in ("Piaskownica", "44,99\N{NO-BREAK SPACE}zł", "Mobilne dodatki 2026/27", "BLIK", "Przelewy24", "Karta"):
        assert words in page.text
    assert '<html lang="pl">' in page.text
    assert "viewport" in page.text
    assert "<script" not in page.text
    style = re.search(r'href="(\.\./assets/pay\.css)"', page.text)
    assert style is not None
    assert (await world.http.get(f"{world.base}/assets/pay.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"method": "card", "outcome": "succeeded"}, "paid"),
        ({"method": "blik", "outcome": "succeeded", "blik_code": "123 456"}, "paid"),
        ({"method": "p24", "outcome": "succeeded", "bank": "pbac_z_ipko"}, "paid"),
        ({"method": "blik", "outcome": "pending", "blik_code": "123456"}, "unpaid"),
        ({"method": "p24", "outcome": "pending", "bank": "ing"}, "unpaid"),
    ],
)
async def test_paying_on_the_page_leads_back_to_the_shop(world: World, form: dict[str, str], status: str) -> None:
    session = await world.session()
    answer = await world.http.post(session.url, data=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://shop.example/done?s={session.id}"
    done = await world.client.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert (done.status, done.payment_status) == ("complete", status)
    if "bank" in form:
        assert done.payment_intent.latest_charge.payment_method_details.p24.bank == form["bank"]


async def test_cancelling_leads_back_and_leaves_the_session_open(world: World) -> None:
    session = await world.session()
    answer = await world.http.post(session.url, data={"method": "card", "outcome": "cancel"})
    assert (answer.status_code, answer.headers["location"]) == (303, "https://shop.example/back")
    assert (await world.client.v1.checkout.sessions.retrieve_async(session.id)).status == "open"


async def test_a_refusal_says_that_nothing_was_taken_and_lets_one_try_again(world: World) -> None:
    session = await world.session()
    answer = await world.http.post(session.url, data={"method": "card", "outcome": "declined"})
    assert "Nic nie zostało pobrane" in answer.text
    assert 'role="alert"' in answer.text
    assert "<form" in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"method": "cash", "outcome": "succeeded"},
        {"method": "card", "outcome": "pending"},
        {"method": "blik", "outcome": "succeeded", "blik_code": "12345"},
        {"method": "blik", "outcome": "succeeded", "blik_code": "12345x"},
        {"method": "p24", "outcome": "succeeded", "bank": "bank_of_nowhere"},
    ],
)
async def test_a_form_that_cannot_be_is_shown_again_and_nothing_happens(world: World, form: dict[str, str]) -> None:
    session = await world.session()
    answer = await world.http.post(session.url, data=form)
    assert (answer.status_code, 'role="alert"' in answer.text) == (422, True)
    assert (await world.client.v1.checkout.sessions.retrieve_async(session.id)).payment_intent is None


async def test_a_waiting_page_offers_nothing(world: World) -> None:
    session = await world.session()
    await world.control(f"sessions/{session.id}/pay", {"method": "p24", "outcome": "pending"})
    page = await world.http.get(session.url)
    assert "Czekamy na bank" in page.text
    assert "<form" not in page.text
    assert "<a " not in page.text
    again = await world.http.post(session.url, data={"method": "card", "outcome": "succeeded"})
    assert again.status_code == 409


async def test_a_paid_failed_expired_or_unknown_page_says_so(world: World) -> None:
    paid, failed, late = await world.session(), await world.session(), await world.session()
    await world.control(f"sessions/{paid.id}/pay", {"method": "card", "outcome": "succeeded"})
    assert "już opłacone" in (await world.http.get(paid.url)).text
    await world.control(f"sessions/{failed.id}/pay", {"method": "blik", "outcome": "pending"})
    await world.control(f"sessions/{failed.id}/settle", {"outcome": "failed"})
    assert "Nic nie zostało pobrane" in (await world.http.get(failed.url)).text
    world.hands.pass_by(hours=24)
    assert (await world.http.get(late.url)).status_code == 410
    assert (await world.http.post(late.url, data={"method": "card", "outcome": "succeeded"})).status_code == 409
    assert (await world.http.get(f"{world.base}/pay/cs_test_none")).status_code == 404


async def test_names_are_shown_as_text_never_as_markup(world: World) -> None:
    product = {"name": "<script>alert(1)</script>"}
    line = {"price_data": {"currency": "pln", "unit_amount": 4499, "product_data": product}, "quantity": 1}
    session = await world.session(line_items=[line])
    page = await world.http.get(session.url)
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_a_receipt_can_be_opened(world: World) -> None:
    charge = await world.paid()
    page = await world.http.get(charge.receipt_url)
    assert "44,99\N{NO-BREAK SPACE}zł" in page.text
