"""The letters about renewing: before each charge, after it, after each change of mind; each once, none untrue."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.pages.reading import shown
from tests.renewing.selling import MONTHLY, YEARLY, Shop, catalogue_text
from tests.renewing.shopping import products, shop
from tests.services.house import House

__all__ = ["products", "shop"]

COMING = "1 października 2026 r. pobierzemy 5,99\xa0zł"


def at(month: int, day: int, hour: int = 12, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def told(house: House, account: str = "anna") -> list[tuple[str, str]]:
    """Day and subject of every letter about renewing."""
    words = ("pobierzemy", "Pobraliśmy", "odnowieni", "Cena wzrośnie", "Przyjęliśmy", "Pełna wersja się")
    letters = house.letters(account)
    return [(one.sent_at[:10], one.subject) for one in letters if any(word in one.subject for word in words)]


async def paid(house: House) -> list[int]:
    """What was taken, in the order in which it was."""
    return [row[0] for row in await house.rows("select amount from payment order by captured_at")]


async def test_r65_a_month_is_told_of_ten_days_ahead_and_charged_on_its_day(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    await shop.live(at(9, 21, 5))
    assert told(house) == []
    await shop.live(at(9, 21, 7))
    assert told(house) == [("2026-09-21", COMING)]
    letter = house.letters("anna")[-1].text or ""
    assert f"{page}/renewal" in letter
    assert "czwartek, 1 października 2026 r." in letter
    assert "Wyłącz odnowienie" in letter
    assert await paid(house) == [599]
    await shop.live(at(10, 2))
    assert await paid(house) == [599, 599]
    assert told(house)[1:] == [("2026-10-01", "Pobraliśmy 5,99\xa0zł")]
    await shop.live(at(10, 31))
    assert [day for day, _ in told(house)][2:] == ["2026-10-22"]


async def test_r65_a_year_is_told_of_before_30_and_before_7_days(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    await shop.buy("anna", "p1", product=YEARLY)
    rows = await house.rows("select due_at, facts from letter where kind = 'renewal_coming' order by due_at")
    assert [(row[0].date().isoformat(), row[1]["days"]) for row in rows] == [("2027-07-30", 30), ("2027-08-22", 7)]
    assert [row[0].hour for row in rows] == [6, 6], "8:00 in Warsaw"


async def test_r65_when_mail_cannot_reach_the_parent_nothing_is_charged_and_the_page_says_why(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    house.misbehave("bounce")
    await shop.live(at(10, 20))
    assert await paid(house) == [599]
    assert await house.rows("select off_reason from renewal") == [("no_notice",)]
    assert "nie pobieramy" in await shop.get(f"{page}/renewal")


async def test_r67_i20_after_turning_it_off_no_letter_says_that_a_charge_comes_and_each_act_is_confirmed_once(
    shop: Shop,
) -> None:
    house = shop.house
    await house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    assert "Wyłączyliśmy odnowienie" in await shop.act(page, "off")
    await shop.act(page, "off")
    await shop.live(at(9, 25))
    assert told(house) == [("2026-09-01", "Automatyczne odnowienie jest wyłączone")]
    assert await house.rows("select state, fault from letter where kind = 'renewal_coming'") == [
        ("dropped", "renewal_off")
    ]
    await shop.live(at(10, 20))
    assert await paid(house) == [599]
    assert len(told(house)) == 1, "its end was told with the turning off"


async def test_r67_turned_on_again_in_time_it_is_told_of_again_and_charged(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    await shop.act(page, "off")
    await shop.live(at(9, 22))
    assert "Włączyliśmy odnowienie ponownie" in await shop.act(page, "on")
    await shop.live(at(10, 2))
    assert sorted(told(house)) == [
        ("2026-09-01", "Automatyczne odnowienie jest wyłączone"),
        ("2026-09-22", COMING),
        ("2026-09-22", "Automatyczne odnowienie jest znowu włączone"),
        ("2026-10-01", "Pobraliśmy 5,99\xa0zł"),
    ]
    assert await paid(house) == [599, 599]


async def test_a_pause_charges_nothing_until_it_is_resumed(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    assert "Wstrzymaliśmy odnowienie" in await shop.act(page, "pause")
    await shop.live(at(10, 20))
    assert await paid(house) == [599]
    assert not (await house.answer("anna", "p1")).allowed
    assert "Odnowienie działa znowu" in await shop.act(page, "resume")
    await shop.live(at(11, 2))
    assert [subject for _, subject in told(house)][:2] == [
        "Automatyczne odnowienie jest wstrzymane",
        "Automatyczne odnowienie działa znowu po przerwie",
    ]
    assert await paid(house) == [599, 599]


class TestDearer:
    """From 15 October a month costs more."""

    @pytest.fixture
    def products(self) -> str:
        return catalogue_text(dearer_from="2026-10-15")

    async def test_r66_without_a_yes_nothing_is_charged_and_it_ends_with_a_letter_that_says_why(
        self, shop: Shop
    ) -> None:
        house = shop.house
        await house.family("anna", "p1")
        page = await shop.buy("anna", "p1")
        await shop.live(at(10, 2))
        assert [row for row in told(house) if "Cena" in row[1]] == [("2026-10-01", "Cena wzrośnie. Czy się zgadzasz?")]
        assert "6,99\xa0zł zamiast 5,99\xa0zł" in await shop.get(f"{page}/renewal")
        await shop.live(at(11, 20))
        assert await paid(house) == [599, 599]
        assert await house.rows("select state, off_reason from renewal") == [("ended", "no_consent")]
        assert told(house)[-1][1] == "Pełna wersja się skończyła"
        assert "nie ma Twojej zgody" in (house.letters("anna")[-1].text or "")

    async def test_r66_r92_a_yes_to_the_price_shown_is_kept_confirmed_and_charged(self, shop: Shop) -> None:
        house = shop.house
        await house.family("anna", "p1")
        page = await shop.buy("anna", "p1")
        await shop.live(at(10, 2))
        question = await shop.get(f"{page}/renewal/price")
        assert "5,99\xa0zł" in question
        assert "6,99\xa0zł" in question
        assert "checked" not in question
        refused = await shop.post(f"{page}/renewal/price", 400, shown="699")
        assert 'href="#renew"' in refused.text
        await shop.post(f"{page}/renewal/price", 409, shown="650", renew="yes")
        answer = await shop.post(f"{page}/renewal/price", shown="699", renew="yes")
        assert "Przyjęliśmy Twoją zgodę" in await shop.get(answer.headers["location"])
        kept = await house.rows("select unit_gross, channel, at from renewal_consent order by id")
        assert [tuple(row) for row in kept][1:] == [(699, "renewal_page", house.now)]
        await shop.live(at(11, 2))
        assert await paid(house) == [599, 599, 699]
        assert "Przyjęliśmy Twoją zgodę na nową cenę" in [subject for _, subject in told(house)]
        assert ("2026-10-22", "1 listopada 2026 r. pobierzemy 6,99\xa0zł") in told(house)


async def test_a_refused_card_is_told_with_the_last_day_of_access_and_a_way_to_change_it(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    page = await shop.buy("anna", "p1")
    name = await house.one("select provider_id from renewal")
    await house.world.control(f"subscriptions/{name}/next_payment", {"outcome": "declined"})
    await shop.live(at(10, 2))
    assert told(house)[-1][1] == "Płatność za odnowienie nie powiodła się"
    assert "do 7 października 2026 r." in (house.letters("anna")[-1].text or "")
    renewal = await shop.get(f"{page}/renewal")
    assert "do 7 października 2026 r." in shown(renewal)
    assert "Zmień kartę" in renewal
    answer = await shop.post(f"{page}/renewal/card")
    assert "/portal/" in answer.headers["location"]
    assert (await house.answer("anna", "p1")).allowed


class TestBlik:
    """BLIK may be charged again."""

    @pytest.fixture
    def products(self) -> str:
        return catalogue_text(blik=True)

    async def test_r68_a_mandate_that_the_bank_has_ended_is_told_and_nothing_is_tried_again(self, shop: Shop) -> None:
        house = shop.house
        await house.family("anna", "p1")
        page = await shop.buy("anna", "p1", method="blik")
        name = await house.one("select provider_id from renewal")
        await house.world.control(f"subscriptions/{name}/mandate", {"status": "inactive"})
        await house.settle()
        assert told(house) == [("2026-09-01", "Automatyczne odnowienie jest wyłączone")]
        assert "bank poinformował nas" in (house.letters("anna")[-1].text or "")
        assert "bank poinformował nas" in await shop.get(f"{page}/renewal")
        await shop.live(at(10, 20))
        assert await paid(house) == [599]


async def test_i20_a_person_who_was_erased_hears_nothing_more(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    await shop.buy("anna", "p1")
    count = len(house.letters("anna"))
    await house.erase("anna")
    await shop.live(house.now + timedelta(days=60))
    assert len(house.letters("anna")) == count
    assert await paid(house) == [599]


async def test_r63_nothing_of_this_is_there_for_a_season_pass(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    page = await shop.order_page("anna")
    assert "Odnowienie" not in await shop.get(page)
    assert await house.rows("select 1 from renewal") == []
    assert MONTHLY not in await house.rows("select kind from letter")
