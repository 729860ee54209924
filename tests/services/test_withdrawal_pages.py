"""The two steps as a browser without scripts meets them (R38, R39, R69–R72, R81, I27)."""

import re
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any, cast

import httpx2
import pytest
from sqlalchemy import text

from billing.app import create_app
from billing.kernel.days import end_of
from billing.kernel.ids import parse
from billing.kernel.tokens import derived_token
from tests.pages import reading
from tests.services.house import House
from tests.services.leaving_orders import bought, kinds, last_order, parent, refunds, warsaw

LAST = date(2026, 12, 7)
WRITTEN = {"lang": "pl", "name": "Anna Żółć", "contact": "anna@rodzice.example"}
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@pytest.fixture
async def browser(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """The pages of the house."""
    transport = httpx2.ASGITransport(cast("Any", create_app(house.services)))
    async with httpx2.AsyncClient(transport=transport, base_url="https://billing.test") as client:
        yield client


def page_of(house: House, order: str) -> str:
    """Where an order's own page is."""
    return f"/orders/{derived_token(house.services.site.secret, 'order', parse('ord', order))}"


async def everything(house: House) -> dict[str, list[str]]:
    """All rows of all tables."""
    async with house.database.begin() as session:
        tables = list(await session.scalars(text("select tablename from pg_tables where schemaname = 'public'")))
        return {
            table: sorted(str(row[0]) for row in await session.execute(text(f"select t::text from {table} t")))
            for table in tables
        }


async def test_r69_r70_from_the_orders_page_in_two_steps_to_the_end(house: House, browser: httpx2.AsyncClient) -> None:
    order = page_of(house, await bought(house, "2026-11-21", "p1"))
    shown = await browser.get(order)
    assert "Odstąp od umowy tutaj" in shown.text
    assert "poniedziałek, 7 grudnia 2026 r." in reading.shown(shown.text)
    (way,) = set(re.findall(r'href="([^"?]+/withdrawal)', shown.text))
    form = await browser.get(way)
    assert await house.one("select number from orders") == int(re.findall(r"<dd>(\d+)</dd>", form.text)[0])
    asked = re.findall(r'<(?:input|textarea) id="(\w+)"([^>]*)>', form.text)
    assert [(name, "required" in rest) for name, rest in asked] == [
        ("name", True),
        ("contact", True),
        ("reason", False),
    ]

    second = await browser.post(way, data=WRITTEN)
    assert (second.status_code, "Potwierdź odstąpienie od umowy" in second.text) == (200, True)
    assert "Anna Żółć" in second.text
    assert await house.rows("select 1 from withdrawal") == []

    done = await browser.post(way, data=dict(HIDDEN.findall(second.text)))
    assert done.status_code == 200
    assert "21 listopada 2026 r., godz. 10:00 CET" in reading.shown(done.text)
    assert "44,99" in done.text
    await house.settle()
    assert await refunds(house) == [("withdrawal", 4499, "succeeded")]
    assert (await kinds(house))[-1] == ("withdrawal_received", "handed_over")

    for again in (await browser.get(way), await browser.post(way, data=dict(HIDDEN.findall(second.text)))):
        assert (again.status_code, again.text) == (200, done.text)
    over = await browser.get(order)
    assert "Odstąp od umowy tutaj" not in over.text
    assert "Powód: odstąpienie od umowy." in over.text
    assert "21 listopada 2026 r., godz. 10:00 CET" in reading.shown(over.text)
    assert len(await refunds(house)) == 1


async def test_i27_r33_opening_and_the_first_step_change_nothing(house: House, browser: httpx2.AsyncClient) -> None:
    way = page_of(house, await bought(house, "2026-11-21", "p1")) + "/withdrawal"
    before = await everything(house)
    for method in ("GET", "HEAD", "GET"):
        assert (await browser.request(method, way)).status_code in {200, 405}
    for step in ({}, {"step": "confirm "}, {"step": "Confirm"}, {"step": ""}):
        assert (await browser.post(way, data=WRITTEN | step)).status_code == 200
    await browser.post(way, data={"step": "confirm"})
    assert await everything(house) == before


@pytest.mark.parametrize("step", [{}, {"step": "confirm"}])
@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"name": ""}, {"name"}),
        ({"name": " \t\u200b"}, {"name"}),
        ({"contact": ""}, {"contact"}),
        ({"contact": "anna"}, {"contact"}),
        ({"contact": "a@b.pl,c@d.pl"}, {"contact"}),
        ({"contact": "a@b.pl\r\nBcc: c@d.pl"}, {"contact"}),
        ({"name": "", "contact": ""}, {"name", "contact"}),
    ],
)
async def test_r70_what_is_missing_is_pointed_at_and_what_was_written_stays(
    house: House, browser: httpx2.AsyncClient, step: dict[str, str], given: dict[str, str], wrong: set[str]
) -> None:
    way = page_of(house, await bought(house, "2026-11-21", "p1")) + "/withdrawal"
    answer = await browser.post(way, data=WRITTEN | {"reason": "Bo tak"} | step | given)
    assert answer.status_code == 400
    assert set(re.findall(r'href="#(name|contact)"', answer.text)) == wrong
    assert "Bo tak" in answer.text
    assert await house.rows("select 1 from withdrawal") == []


async def test_r38_its_pages_keep_their_address_to_themselves_and_name_nobody(
    house: House, browser: httpx2.AsyncClient
) -> None:
    way = page_of(house, await bought(house, "2026-11-21", "dziecko-1")) + "/withdrawal"
    for answer in (
        await browser.get(way),
        await browser.post(way, data=WRITTEN),
        await browser.post(way, data=WRITTEN | {"step": "confirm"}),
        await browser.get(way),
    ):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "set-cookie" not in answer.headers
        assert "<script" not in answer.text
        assert "dziecko-1" not in answer.text
    assert "Anna" not in (await browser.get(way)).text, "nor what the last reader wrote"


async def test_r39_a_wrong_link_is_an_unknown_one(house: House, browser: httpx2.AsyncClient) -> None:
    for method in ("GET", "POST"):
        answer = await browser.request(method, "/orders/nie-ma/withdrawal", data=WRITTEN if method == "POST" else None)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_r69_r72_r81_the_control_is_there_to_the_last_second_and_then_a_polite_no(
    house: House, browser: httpx2.AsyncClient
) -> None:
    order = page_of(house, await bought(house, "2026-11-21", "p1"))
    way = f"{order}/withdrawal"
    house.stand_at(end_of(LAST) - timedelta(seconds=1))
    assert "Odstąp od umowy tutaj" in (await browser.get(order)).text
    assert 'name="contact"' in (await browser.get(way)).text
    second = await browser.post(way, data=WRITTEN)

    house.stand_at(end_of(LAST))
    assert "Odstąp od umowy tutaj" not in (await browser.get(order)).text
    for closed in (await browser.get(way), await browser.post(way, data=WRITTEN)):
        assert "Termin na odstąpienie od umowy minął" in closed.text
        assert 'name="contact"' not in closed.text
    assert await house.rows("select 1 from withdrawal") == []

    late = await browser.post(way, data=dict(HIDDEN.findall(second.text)))
    assert "Termin na odstąpienie od umowy minął" in late.text
    await house.settle()
    assert await house.rows("select state, refund_id from withdrawal") == [("late", None)]
    assert (await kinds(house))[-1] == ("withdrawal_too_late", "handed_over")
    assert (await house.answer("anna", "p1")).reason == "paid"


@pytest.mark.parametrize(
    ("language", "button", "about"),
    [
        ("pl", "Potwierdź odstąpienie od umowy", "Potwierdzenie odstąpienia od umowy"),
        ("uk", "Підтвердити відмову від договору", ""),
        ("en", "Confirm withdrawal from the contract", "Acknowledgement of withdrawal"),
    ],
)
async def test_r124_pages_and_letter_speak_the_readers_language(
    house: House, browser: httpx2.AsyncClient, language: str, button: str, about: str
) -> None:
    way = page_of(house, await bought(house, "2026-11-21", "p1")) + "/withdrawal"
    form = await browser.get(f"{way}?lang={language}")
    assert f'name="lang" value="{language}"' in form.text
    second = await browser.post(way, data=WRITTEN | {"lang": language})
    assert button in second.text
    await browser.post(way, data=dict(HIDDEN.findall(second.text)))
    await house.settle()
    letter = house.letters("anna")[-1]
    assert about in letter.subject
    assert f'<html lang="{language}"' in (letter.html or "")


async def test_r69_while_the_bank_thinks_the_control_is_there_too(house: House, browser: httpx2.AsyncClient) -> None:
    house.stand_at(warsaw("2026-11-21"))
    await parent(house, "anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "blik", "pending")
    await house.settle()
    order = page_of(house, await last_order(house))
    assert "Odstąp od umowy tutaj" in (await browser.get(order)).text
    done = await browser.post(f"{order}/withdrawal", data=WRITTEN | {"step": "confirm"})
    assert "Nie mamy żadnych pieniędzy" in done.text
    shown = (await browser.get(order)).text
    assert "Oczekujemy na potwierdzenie płatności" in shown
    assert "Nie mamy żadnych pieniędzy" in shown
    await house.settle_payment(url, "succeeded")
    await house.settle()
    assert "Powód: odstąpienie od umowy." in (await browser.get(order)).text


async def test_what_is_written_without_end_is_cut_and_what_is_strange_is_shown_and_not_run(
    house: House, browser: httpx2.AsyncClient
) -> None:
    way = page_of(house, await bought(house, "2026-11-21", "p1")) + "/withdrawal"
    strange = WRITTEN | {"name": "<b>Anna</b>" + "x" * 900, "reason": "y\x00\n" * 5000}
    second = await browser.post(way, data=strange)
    assert "&lt;b&gt;Anna&lt;/b&gt;" in second.text
    sent = {name: value.replace("&lt;", "<").replace("&gt;", ">") for name, value in HIDDEN.findall(second.text)}
    assert (len(sent["name"]), len(sent["reason"])) == (200, 2000)
    assert (await browser.post(way, data=sent)).status_code == 200
    await house.settle()
    assert (await kinds(house))[-1] == ("withdrawal_received", "handed_over")
