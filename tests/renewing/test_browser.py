"""Renewing in a real browser, without scripts: how many clicks it takes, and what axe finds (R67, R119)."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from billing.app import create_app
from tests.chromium import RULES, chromium, needs_chromium
from tests.gateway.world import served
from tests.renewing.selling import MONTHLY, Shop
from tests.renewing.shopping import products, shop

__all__ = ["chromium", "products", "shop"]

pytestmark = [*needs_chromium, pytest.mark.slow]
PICTURES = os.environ.get("BROWSER_PICTURES")


@pytest.fixture
async def home(shop: Shop) -> AsyncIterator[str]:
    """Where the pages of the shop are served."""
    async with served(create_app(shop.house.services)) as port:
        yield f"http://127.0.0.1:{port}"


async def picture(page: Page, name: str, width: int) -> None:
    """What the page looks like, if somebody asked for pictures; never wider than the screen."""
    session = await page.context.new_cdp_session(page)
    assert (await session.send("Page.getLayoutMetrics"))["cssContentSize"]["width"] <= width
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}-{width}.png", full_page=True)


@pytest.mark.parametrize("width", [320, 1280])
async def test_r67_two_clicks_turn_it_off_and_two_more_take_that_back(
    shop: Shop, home: str, chromium: Browser, width: int
) -> None:
    house = shop.house
    await house.family("anna", "p1")
    order = await shop.buy("anna", "p1")
    context = await chromium.new_context(
        viewport={"width": width, "height": 800}, java_script_enabled=False, locale="pl-PL"
    )
    page = await context.new_page()
    await page.goto(f"{home}{order}")
    await picture(page, "order", width)
    await page.get_by_role("link", name="Wyłącz, wstrzymaj, zmień kartę").click()
    await picture(page, "renewal", width)
    await page.get_by_role("button", name="Wyłącz odnowienie").click()
    assert "Wyłączyliśmy odnowienie" in await page.inner_text("main")
    assert await house.rows("select is_renewal_on, off_reason from renewal") == [(False, "asked")]
    await picture(page, "off", width)
    await page.get_by_role("button", name="Włącz odnowienie ponownie").click()
    assert "Włączyliśmy odnowienie ponownie" in await page.inner_text("main")
    assert await house.rows("select is_renewal_on from renewal") == [(True,)]
    await context.close()


async def test_r119_the_pages_of_renewing_are_accessible(shop: Shop, home: str, chromium: Browser) -> None:
    house = shop.house
    await house.family("anna", "p1")
    await house.family("jan", "p2")
    order = await shop.buy("anna", "p1")
    offer = f"/activate/{await house.token('jan', 'p2')}?plan={MONTHLY}"
    page = await (await chromium.new_context(viewport={"width": 320, "height": 800}, bypass_csp=True)).new_page()
    found: list[str] = []
    for path in (order, f"{order}/renewal", *(f"{offer}&lang={language}" for language in ("pl", "uk", "en"))):
        await page.goto(f"{home}{path}")
        faults = (await Axe().run(page, options=RULES)).response["violations"]
        found += [f"{path}: {fault['id']}: {node['html'][:120]}" for fault in faults for node in fault["nodes"]]
    assert found == []
