"""A parent with a browser, from the mail to the active pass: no scripts, no mouse, a narrow screen, no other host."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request

from tests.chromium import RULES, needs_chromium
from tests.family import DAY, MINUTE, Family, morning
from tests.hand import Hand

pytestmark = [*needs_chromium, pytest.mark.slow]
PICTURES = os.environ.get("BROWSER_PICTURES")
"""A folder for pictures of every page of the story, for people to look at; none are kept without it."""


class Window:
    """A browser window of a parent; notes every request that leaves for another host, and every cookie."""

    def __init__(self, browser: Browser, width: int, *, script: bool) -> None:
        self.width = width
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=script, locale="pl-PL"
        )
        self.page: Page = self.context.new_page()
        self.strangers: list[str] = []
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if urlsplit(request.url).hostname != "127.0.0.1":
            self.strangers.append(request.url)

    def picture(self, name: str) -> None:
        """What the page looks like, if somebody asked for pictures."""
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"{name}-{self.width}.png", full_page=True)

    def wide(self) -> int:
        """How wide the page is laid out, in CSS pixels, measured without scripts of its own."""
        session = self.context.new_cdp_session(self.page)
        return int(session.send("Page.getLayoutMetrics")["cssContentSize"]["width"])


@pytest.fixture
def told(hand: Hand) -> Family:
    """A parent who was just mailed that the trial ends."""
    family = hand.family("przegladarka", pupils=2)
    hand.to(morning(family.day - 10 * DAY) + MINUTE)
    return family


@pytest.fixture(params=[320, 1280])
def window(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Window]:
    """Without scripts, on a phone and on a desk."""
    made = Window(browser, request.param, script=False)
    yield made
    made.context.close()


def test_the_whole_story_without_scripts(hand: Hand, told: Family, window: Window) -> None:
    """R33, R36, R38, R55, R119, R126: link, offer, order, pay page, waiting, paid; nothing wider than the screen."""
    page = window.page
    page.goto(hand.link_in(hand.letter(told.email)))
    window.picture("1-offer")
    assert window.wide() <= window.width
    assert page.get_by_text("nie odnawia się automatycznie").first.is_visible()
    assert page.locator("input:checked").count() == 0
    page.locator("#terms").check()
    page.get_by_role("button", name="Zamawiam i płacę").click()

    assert "/sandbox/stripe/pay/cs_" in page.url
    window.picture("2-pay")
    assert window.wide() <= window.width
    hand.stripe_fault(webhooks="hold")
    page.get_by_label("BLIK", exact=True).check()
    page.locator("[name=blik_code]").fill("123456")
    page.locator("[value=succeeded]").first.click()
    if "/sandbox/stripe/pay/" in page.url:
        page.locator("button[type=submit]").first.click()

    assert "/orders/" in page.url
    window.picture("3-waiting")
    assert "Oczekujemy na potwierdzenie płatności" in page.inner_text("h1")
    assert window.wide() <= window.width
    hand.stripe_fault(webhooks="normal")
    hand.drain()
    page.get_by_role("link", name="Sprawdź ponownie").click()
    window.picture("4-paid")
    assert "Zapłacono" in page.inner_text("h1")
    assert window.wide() <= window.width
    page.goto(hand.link_in(hand.letter(told.email, "Od ")))
    window.picture("5-used")
    assert window.wide() <= window.width
    assert hand.allows(told, told.pupils[0]) == (True, "paid")
    assert window.strangers == []
    assert window.context.cookies() == []


def test_the_story_by_keyboard_alone(hand: Hand, told: Family, browser: Browser) -> None:
    """R119: Tab, Space and Enter lead from the offer to the order's page; whatever has the focus can be seen."""
    window = Window(browser, 1280, script=True)
    page = window.page
    page.goto(hand.link_in(hand.letter(told.email)))
    press_until(page, "#terms")
    page.keyboard.press("Space")
    press_until(page, "button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sandbox/stripe/pay/*")
    session = page.url.rpartition("/")[2]
    hand.pay(session)
    hand.drain()
    page.goto(hand.link_in(hand.letter(told.email, "Potwierdzenie"), "/orders/"))
    assert "Zapłacono" in page.inner_text("h1")
    window.context.close()


def press_until(page: Page, wanted: str, most: int = 40) -> None:
    """Tab on until the element has the focus; every stop on the way shows where it is."""
    for _ in range(most):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"{wanted} was never reached")


def test_every_page_of_the_story_is_accessible(hand: Hand, told: Family, browser: Browser) -> None:
    """R119: axe finds nothing at all on the pages as they are served, in three languages."""
    window = Window(browser, 320, script=True)
    link = hand.link_in(hand.letter(told.email))
    unpaid = hand.new_link(hand.family("bez-placenia"))
    blocked = hand.family("zablokowana")
    hand.block(blocked.school, "messages", "desk_view", "push_notifications", "homework")
    waiting = hand.register("potwierdz", email_confirmed=False)
    hand.drain()
    order_page = hand.pay_page(hand.to_pay(link), "blik", "pending")
    pages = [
        *(f"{unpaid}?lang={language}" for language in ("pl", "uk", "en")),
        hand.new_link(blocked),
        hand.link_in(hand.letter(waiting.email), "/confirm/"),
        order_page,
        f"{hand.url}/activate/nie-ma-takiego-linku-0000000000",
        *(f"{hand.url}/{name}" for name in ("regulamin", "prywatnosc", "dostepnosc", "pomoc", "nie-teraz")),
    ]
    found = [fault for url in pages for fault in faults(window.page, url)]
    hand.settle(order_page_session(hand, told), "succeeded")
    hand.drain()
    found += [fault for url in (order_page, link) for fault in faults(window.page, url)]
    assert found == []
    assert window.strangers == []
    window.context.close()


def order_page_session(hand: Hand, family: Family) -> str:
    """The payment page's session of the family's order."""
    (order,) = hand.orders(family)
    return next(
        row["id"] for row in hand.stripe_list("checkout/sessions") if row["metadata"].get("order") == order["id"]
    )


def faults(page: Page, url: str) -> list[str]:
    """What axe finds on a page, in a line each."""
    page.goto(url)
    return here(page)


def here(page: Page) -> list[str]:
    """What axe finds on the page that is open, in a line each."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{page.url}: {fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


def test_no_is_as_easy_as_yes(hand: Hand, told: Family, window: Window) -> None:
    """R42: one click away, and nothing has happened."""
    page = window.page
    page.goto(hand.link_in(hand.letter(told.email)))
    page.get_by_role("link", name="Nie teraz").click()
    window.picture("6-not-now")
    assert hand.orders(told) == []
    assert window.wide() <= window.width
