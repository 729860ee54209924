"""Withdrawing with a browser: without scripts, on a phone and on a desk, and without a barrier (R69, R70, R119)."""

import pytest
from playwright.sync_api import Browser

from tests.browser.test_paying_in_a_browser import Window, faults, here
from tests.chromium import needs_chromium
from tests.hand import Hand

pytestmark = [*needs_chromium, pytest.mark.slow]


def bought(hand: Hand, story: str) -> str:
    """The page of a paid order."""
    family = hand.family(story)
    order_page = hand.pay_page(hand.to_pay(hand.new_link(family)), "blik", "succeeded")
    hand.drain()
    return order_page


@pytest.mark.parametrize("width", [320, 1280])
def test_from_the_orders_page_by_two_buttons_without_scripts(hand: Hand, browser: Browser, width: int) -> None:
    window = Window(browser, width, script=False)
    page = window.page
    page.goto(bought(hand, "rezygnuje"))
    window.picture("w1-order")
    page.get_by_role("link", name="Odstąp od umowy tutaj").click()
    window.picture("w2-form")
    page.get_by_label("Imię i nazwisko").fill("Maria-Antonina Konstantynopolitańczykowianeczkówna-Brzęczyszczykiewicz")
    page.get_by_label("E-mail").fill("maria-antonina.konstantynopolitanczykowianeczkowna@poczta.example")
    page.locator("button[type=submit]").click()
    window.picture("w3-summary")
    assert window.wide() <= width
    page.get_by_role("button", name="Potwierdź odstąpienie od umowy").click()
    window.picture("w4-done")
    assert window.wide() <= width
    assert "Przyjęliśmy odstąpienie od umowy" in page.inner_text("h1")
    page.get_by_role("link", name="Wróć do zamówienia").click()
    window.picture("w5-order-after")
    assert window.wide() <= width
    assert page.get_by_role("link", name="Odstąp od umowy tutaj").count() == 0
    assert (window.strangers, window.context.cookies()) == ([], [])
    window.context.close()


def test_its_pages_have_no_barrier(hand: Hand, browser: Browser) -> None:
    """R119: axe finds nothing on the form, the form with faults, the summary, and what comes after."""
    window = Window(browser, 320, script=True)
    page, order_page = window.page, bought(hand, "bez-barier")
    found: list[str] = []
    for language in ("pl", "uk", "en"):
        found += faults(page, f"{order_page}/withdrawal?lang={language}")
        page.locator("form").evaluate("form => { form.noValidate = true }")
        page.locator("button[type=submit]").click()
        found += here(page)
        page.locator("#name").fill("Anna")
        page.locator("#contact").fill("anna@poczta.example")
        page.locator("button[type=submit]").click()
        found += here(page)
    page.locator("button[type=submit]").click()
    found += here(page)
    found += faults(page, order_page)
    assert found == []
    window.context.close()
