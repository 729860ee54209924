"""What people see of renewing: the offer, its own consent, and the page with every control (R41–R45, R64–R67)."""

from datetime import UTC, datetime

import pytest

from billing.checkout.pages import renewal_consent
from billing.checkout.service import text_hash
from billing.kernel.speech import speak
from tests.pages.reading import Reader, shown
from tests.renewing.selling import MONTHLY, OFFER, Shop, catalogue_text
from tests.renewing.shopping import products, shop

__all__ = ["products", "shop"]


async def test_r63_the_season_pass_comes_first_and_what_renews_is_an_equal_choice(shop: Shop) -> None:
    await shop.house.family("anna", "p1")
    link = f"/activate/{await shop.house.token('anna', 'p1')}"
    first = await shop.get(link)
    assert "nie odnawia się automatycznie" in shown(first)
    assert 'name="renew"' not in first
    choices = [a for a in Reader(first).all("a") if a.attributes.get("class") == "choice"]
    assert [a.attributes.get("aria-current") for a in choices] == ["true", None, None]
    second = await shop.get(choices[1].attributes["href"])
    assert f'name="product" value="{MONTHLY}"' in second
    assert f'href="{link}?plan={MONTHLY}&amp;lang=uk"' in second, "another language keeps the choice"
    assert await shop.get(f"{link}?plan=nonsense") == first


async def test_r41_r64_the_terms_of_renewing_stand_above_the_button_and_nothing_is_ticked(shop: Shop) -> None:
    await shop.house.family("anna", "p1", "p2")
    page = await shop.get(f"/activate/{await shop.house.token('anna', 'p1', 'p2')}?plan={MONTHLY}")
    form = page[page.index("<dl", page.index("<form")) : page.index("<button")]
    facts = [">2 ×", "11,98\xa0zł", "1 września 2026 r.", "30 września 2026 r.", "11,98\xa0zł co miesiąc",
             "1 października 2026 r.", "7 dni przed każdą opłatą", "w dwóch kliknięciach"]  # fmt: skip
    places = [form.index(fact) for fact in facts]
    assert places == sorted(places)
    boxes = [box.attributes for box in Reader(page).all("input") if box.attributes["type"] == "checkbox"]
    assert [(box["name"], "checked" in box) for box in boxes] == [
        ("terms", False), ("start_now", False), ("renew", False),
    ]  # fmt: skip
    assert "nie odnawia się automatycznie" not in shown(form)


async def test_r64_without_its_own_consent_the_order_is_refused_on_the_page_and_nothing_is_made(shop: Shop) -> None:
    await shop.house.family("anna", "p1")
    answer = await shop.order("anna", "p1", renew="", expect=400)
    assert 'href="#renew"' in answer.text
    assert "zaznacz to pole" in shown(answer.text)
    assert await shop.house.rows("select 1 from orders") == []
    assert await shop.house.rows("select 1 from renewal") == []


async def test_r64_r92_the_consent_is_kept_with_its_words_version_and_time(shop: Shop) -> None:
    await shop.house.family("anna", "p1")
    await shop.order("anna", "p1")
    words = text_hash(renewal_consent("month", 599, speak("pl")))
    kept = "select unit_gross, interval, text_hash, version, locale, channel, at from renewal_consent"
    (row,) = await shop.house.rows(kept)
    assert tuple(row) == (599, "month", words, "2026-11", "pl", "order_page", shop.house.now)
    kept = "select text_hash, given from consent where kind = 'renewal'"
    assert [tuple(row) for row in await shop.house.rows(kept)] == [(words, True)]


async def test_r33_r34_a_second_click_is_the_same_order_and_the_other_product_another(shop: Shop) -> None:
    await shop.house.family("anna", "p1")
    one = await shop.order("anna", "p1")
    two = await shop.order("anna", "p1")
    assert one.headers["location"] == two.headers["location"]
    await shop.house.click(await shop.house.token("anna", "p1"))
    states = await shop.house.rows("select product, state from orders order by number")
    assert [tuple(row) for row in states] == [(MONTHLY, "expired"), ("mobile-addons-season", "incomplete")]


async def test_r55_the_page_of_the_order_tells_paid_through_and_the_next_charge_and_leads_to_the_controls(
    shop: Shop,
) -> None:
    await shop.house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    words = shown(await shop.get(page))
    assert "Zapłacono" in words
    assert "1 października 2026 r.: 5,99 zł" in words
    renewal = await shop.get(f"{page}/renewal")
    assert f'href="{page}/renewal?lang=pl"' in await shop.get(page)
    assert "Wyłącz odnowienie" in shown(renewal)


async def test_i27_r38_opening_the_pages_changes_nothing_and_they_keep_their_address_to_themselves(shop: Shop) -> None:
    await shop.house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    state = "select (select count(*) from audit), (select count(*) from outbox), (select sum(revision) from renewal)"
    before = [tuple(row) for row in await shop.house.rows(state)]
    for path, status in ((f"{page}/renewal", 200), (f"{page}/renewal?done=off", 200), (f"{page}/renewal/price", 303)):
        answer = await shop.client.get(path)
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"
        assert "Wyłączyliśmy" not in answer.text, "never against the truth"
        if status == 200:
            assert answer.headers["referrer-policy"] == "no-referrer"
    await shop.post(f"{page}/renewal", act="nonsense")
    assert [tuple(row) for row in await shop.house.rows(state)] == before


async def test_a_link_of_an_order_that_does_not_renew_opens_no_such_page(shop: Shop) -> None:
    await shop.house.family("anna", "p1")
    await shop.house.buy("anna", "p1")
    page = await shop.order_page("anna")
    await shop.get(f"{page}/renewal", 404)
    await shop.post(f"{page}/renewal", 404, act="off")


class TestDearer:
    """From 15 September a month costs more."""

    @pytest.fixture
    def products(self) -> str:
        return catalogue_text(dearer_from="2026-09-15")

    async def test_r85_the_price_that_was_seen_is_the_one_agreed_to_or_the_page_says_that_it_changed(
        self, shop: Shop
    ) -> None:
        house = shop.house
        house.stand_at(datetime(2026, 9, 14, 12, tzinfo=UTC))
        await house.family("anna", "p1")
        link = f"/activate/{await house.token('anna', 'p1')}"
        seen = OFFER.search(await shop.get(f"{link}?plan={MONTHLY}"))
        assert seen
        house.stand_at(datetime(2026, 9, 15, 12, tzinfo=UTC))
        sent = {"terms": "yes", "renew": "yes", "product": MONTHLY, "offer": seen[1]}
        answer = await shop.post(f"{link}/order", 409, **sent)
        assert "6,99\xa0zł" in answer.text
        assert await house.rows("select 1 from orders") == []
