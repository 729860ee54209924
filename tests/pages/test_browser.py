"""Pages and letters in a real browser: axe, 320 px, keyboard, equal doors, no JavaScript."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route

from billing.kernel.pages import STATIC
from billing.kernel.speech import LANGUAGES, speak
from billing.notices.letters import write
from tests.chromium import RULES, browser, needs_chromium
from tests.pages import samples

ADDRESS = "http://pages.test/page"
MAKES = (
    "offer-full",
    "order-paid",
    "order-open",
    "gone-expired",
    "nothing-to-pay",
    "problem",
    "confirm",
    "withdrawal",
    "withdrawal-confirm",
    "help",
)
KINDS = {".css": "text/css", ".svg": "image/svg+xml"}

__all__ = ["browser"]

pytestmark = needs_chromium


def open_page(browser: Browser, html: str, width: int = 320, scheme: str = "light", *, script: bool = True) -> Page:
    """The page as served from one origin, its own style sheet beside it and nothing else."""
    context = browser.new_context(
        viewport={"width": width, "height": 720},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=script,
    )
    page = context.new_page()

    def answer(route: Route) -> None:
        name = route.request.url.partition("?")[0].rpartition("/")[2]
        if "/static/" in route.request.url:
            kind = KINDS["." + name.rpartition(".")[2]]
            route.fulfill(path=str(STATIC / name), content_type=kind)
        else:
            route.fulfill(body=html, content_type="text/html; charset=utf-8")

    page.route("**/*", answer)
    page.goto(ADDRESS)
    return page


def faults(page: Page) -> list[str]:
    """What axe finds, in a line each."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


@pytest.mark.parametrize(("language", "scheme"), [("pl", "light"), ("uk", "dark"), ("en", "light")])
def test_pages_are_accessible(browser: Browser, language: str, scheme: str) -> None:
    """R119, checks 61, 62, 76: no finding of axe at all, on one page of each make."""
    found = samples.every_page(speak(language))
    for name in MAKES if language != "en" else MAKES[:2]:
        page = open_page(browser, found[name], scheme=scheme)
        assert faults(page) == [], f"{language} {name}"
        page.context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_scrolls_sideways_at_320_pixels(browser: Browser, language: str) -> None:
    """R119 and check 59: 320 px is a window of 1280 px at 400 %."""
    page = open_page(browser, "")
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    for name, html in samples.every_page(speak(language)).items():
        page.set_content(re.sub(r'<link rel="stylesheet"[^>]*>', lambda _: f"<style>{style}</style>", html))
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, f"{language} {name}"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_are_accessible(browser: Browser, scheme: str) -> None:
    """Check 46. Letters have no landmarks of their own: the mail program is around them."""
    polish = speak("pl")
    found = samples.every_letter(polish)
    for name in ("trial-ending", "confirmation", "confirm-email"):
        page = open_page(browser, write(found[name], polish).html, width=360, scheme=scheme)
        outside = ("region", "landmark", "meta-viewport")
        assert [fault for fault in faults(page) if not fault.startswith(outside)] == [], f"{name} {scheme}"
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        page.context.close()


@pytest.mark.parametrize(("language", "width"), [("pl", 320), ("pl", 1280), ("uk", 320)])
def test_yes_and_no_are_doors_of_one_size(browser: Browser, language: str, width: int) -> None:
    """R42: the refusal is as large as the binding button, and large enough for a thumb (check 61: 44 px)."""
    speech = speak(language)
    page = open_page(browser, samples.every_page(speech)["offer"], width=width)
    boxes = [page.locator(".doors .button").nth(place).bounding_box() for place in (0, 1)]
    yes, no = (box for box in boxes if box)
    assert (round(yes["width"]), round(yes["height"])) == (round(no["width"]), round(no["height"]))
    assert yes["height"] >= 44
    page.context.close()


def test_the_keyboard_alone_reaches_everything_in_order(browser: Browser) -> None:
    """R119 and check 60: skip link, languages, terms, wish, order, not now, help; the focus can be seen."""
    page = open_page(browser, samples.every_page(speak("pl"))["offer"])
    reached: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(document.activeElement.id || document.activeElement.innerText).trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached[-1]
    order = [
        "Przejdź do treści",
        "Polski",
        "Українська",
        "English",
        "terms",
        "start_now",
        "Zamawiam i płacę",
        "Nie teraz",
    ]
    assert [stop for stop in reached if stop in order] == order
    page.context.close()


def test_ordering_needs_no_javascript(browser: Browser) -> None:
    """Check 57: with scripts off the form sends the offer, the language and the ticked boxes, and nothing else."""
    page = open_page(browser, samples.every_page(speak("pl"))["offer"], script=False)
    page.locator("#terms").check()
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Zamawiam i płacę").click()
    assert sent.value.post_data == "offer=5d41402abc4b2a76b9719d911017c592&lang=pl&terms=yes"
    page.context.close()


def test_text_may_be_twice_as_large(browser: Browser) -> None:
    """R119 and check 59: with the reader's own letter size doubled nothing is cut off sideways."""
    page = open_page(browser, samples.every_page(speak("uk"))["offer-full"], width=640)
    page.add_style_tag(content="html { font-size: 212% !important; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    page.context.close()
