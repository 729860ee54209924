"""The staff's pages in a real browser: axe finds nothing, nothing scrolls sideways at 320 px, a keyboard is enough."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from axe_playwright_python.async_playwright import Axe
from litestar import Litestar
from playwright.async_api import Browser, Page, Route

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from tests.chromium import RULES, chromium, needs_chromium
from tests.finance.conftest import HOME, staff
from tests.finance.world import World

__all__ = ["chromium"]

pytestmark = needs_chromium


@pytest.fixture
async def serving(app: Litestar, database: Database, clock: FixedClock) -> AsyncIterator[httpx2.AsyncClient]:
    """The rooms, with an admin logged in."""
    async with staff(app, database, clock, "admin") as made:
        yield made


async def opened(
    chromium: Browser, serving: httpx2.AsyncClient, width: int, scheme: str = "light", *, script: bool = True
) -> tuple[Page, list[str]]:
    """A page whose every request is answered by the rooms, and what the browser complained of so far."""
    context = await chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=script,
        bypass_csp=False,
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    async def answer(route: Route) -> None:
        asked = route.request
        headers = {"accept-language": "pl", "content-type": asked.headers.get("content-type", "")}
        if "origin" in asked.headers:
            headers["origin"] = asked.headers["origin"]
        told = await serving.request(asked.method, asked.url, headers=headers, content=asked.post_data_buffer or b"")
        await route.fulfill(status=int(told.status_code), headers=dict(told.headers), body=told.content)

    await page.route("**/finance/**", answer)
    await page.route("**/static/mark.svg*", lambda route: route.fulfill(body="<svg/>", content_type="image/svg+xml"))
    return page, complaints


def places(world: World) -> tuple[str, ...]:
    return (
        "/finance/",
        "/finance/?q=nothing",
        "/finance/accounts/a-anna",
        f"/finance/orders/{world.order}",
        "/finance/tasks",
        "/finance/letters",
        f"/finance/letters/{world.letter}",
        "/finance/events",
        "/finance/audit",
        "/finance/invoices",
        "/finance/?kind=wrong",
        "/finance/logged-out",
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
async def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    chromium: Browser, serving: httpx2.AsyncClient, world: World, width: int, scheme: str
) -> None:
    """R119, checklist B 59: in both colour schemes, on a wide screen and at 320 px; and no page breaks its own CSP."""
    page, complaints = await opened(chromium, serving, width, scheme)
    for place in places(world):
        await page.goto(HOME + place)
        found = (await Axe().run(page, options=RULES)).response["violations"]
        faults = [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]
        assert faults == [], place
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, place
    assert [text for text in complaints if "Content Security Policy" in text] == []


async def test_a_keyboard_is_enough_and_no_script_is_needed(
    chromium: Browser, serving: httpx2.AsyncClient, world: World
) -> None:
    """Checklist C 98, 99: search, open, log out."""
    page, _ = await opened(chromium, serving, 1280, script=False)
    await page.goto(HOME + "/finance/")
    await page.keyboard.press("Tab")
    assert await page.locator(".skip").evaluate("element => element === document.activeElement")
    await page.locator("#q").focus()
    await page.keyboard.type("lodz")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=lodz*")
    link = page.get_by_role("link", name=world.order)
    await link.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/finance/orders/{world.order}")
    assert world.number in (await page.locator("h1").inner_text())
    await page.get_by_role("button", name="Wyloguj").focus()
    async with page.expect_response("**/finance/logout") as gone:
        await page.keyboard.press("Enter")
    assert (await gone.value).status == 303
    assert (await serving.get("/finance/tasks")).status_code == 303


async def test_a_letter_in_its_frame_runs_nothing(chromium: Browser, serving: httpx2.AsyncClient, world: World) -> None:
    page, _ = await opened(chromium, serving, 1280)
    await page.goto(f"{HOME}/finance/letters/{world.letter}")
    inside = page.frame_locator("iframe.sheet")
    assert "Zażółć" in await inside.locator("p").inner_text()
    assert await inside.locator("p").evaluate("element => getComputedStyle(element).color") == "rgb(34, 34, 34)"
