"""A real browser, for the files that name these fixtures: where there is none, their tests are left out, but never
where `CI` is set."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.async_api import Browser as AsyncBrowser
from playwright.async_api import async_playwright
from playwright.sync_api import Browser, sync_playwright

from tests.lacking import left_out_unless

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = [
    pytest.mark.browser,
    left_out_unless(_CHROMIUM is not None, "no Chromium here: apt-get install chromium, then run again"),
]
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
"""What axe looks for."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for a file of tests."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(**_launching())
        yield found
        found.close()


@pytest.fixture
async def chromium() -> AsyncIterator[AsyncBrowser]:
    """One headless Chromium for a test that awaits."""
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(**_launching())
        yield found
        await found.close()


def _launching() -> dict[str, Any]:
    assert _CHROMIUM is not None, "no Chromium here, and CI asks for every test"
    return {"executable_path": _CHROMIUM, "args": ["--no-sandbox"] if os.geteuid() == 0 else []}
