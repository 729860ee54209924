"""Another interval, or a pupil more, by whoever holds the order's link: seen to the grosz, then ordered (R64, R85)."""

from datetime import UTC, datetime, timedelta

from billing.checkout.pages import renewal_consent
from billing.checkout.service import text_hash
from billing.kernel.speech import speak
from tests.pages.reading import Reader, shown
from tests.renewing.selling import YEARLY, Shop
from tests.renewing.shopping import products, shop

__all__ = ["products", "shop"]

MONTH, YEAR = 599, 4999
LATER = datetime(2026, 9, 11, 15, 7, 3, tzinfo=UTC)


async def begun(shop: Shop, *pupils: str) -> str:
    """A month is paid for, on its first day. Answers the path of the page that changes it."""
    await shop.house.family("anna", *pupils)
    return f"{await shop.buy('anna', 'p1')}/renewal/change"


def key_of(page: str) -> str:
    (key,) = [field.attributes["value"] for field in Reader(page).all("input") if field.attributes["name"] == "key"]
    return key


async def payments(shop: Shop) -> list[int]:
    return [row.amount for row in await shop.house.rows("select amount from payment order by captured_at, id")]


async def test_r64_r85_i16_a_year_instead_of_months_is_seen_to_the_grosz_and_charged_so_in_two_steps(
    shop: Shop,
) -> None:
    change = await begun(shop, "p1")
    await shop.live(LATER)
    choices = await shop.get(change)
    assert "Płatność raz w roku" in choices
    assert "Jeden uczeń więcej" not in choices
    counted = await shop.post(change, 200, product=YEARLY)
    assert await payments(shop) == [MONTH], "looking costs nothing"
    boxes = [box.attributes for box in Reader(counted.text).all("input") if box.attributes["type"] == "checkbox"]
    assert [(box["name"], "checked" in box) for box in boxes] == [("renew", False)]
    assert "Zamawiam i płacę" in counted.text
    shop.house.stand_at(LATER + timedelta(minutes=29))
    pages = {(await shop.post(change, key=key_of(counted.text), renew="yes")).headers["location"] for _ in range(3)}
    await shop.house.settle()
    before, charged = await payments(shop)
    assert before == MONTH
    await confirmed_by_letter(shop, charged)
    assert f"<dd>{speak('pl').money(charged)}<small>" in counted.text, "what was seen is what was charged"
    (done,) = pages
    renewal = shown(await shop.get(done))
    assert "Zmiana została wprowadzona" in renewal
    for page in (shown(counted.text), renewal):
        assert "11 września 2027 r." in page, "the next charge"
        assert "49,99 zł" in page
    words = text_hash(renewal_consent("year", YEAR, speak("pl")))
    kept = "select unit_gross, text_hash, channel from renewal_consent where interval = 'year'"
    assert [tuple(row) for row in await shop.house.rows(kept)] == [(YEAR, words, "renewal_page")]


async def confirmed_by_letter(shop: Shop, charged: int) -> None:
    """Once, to the buyer, with all of the new terms (R92)."""
    letters = [one for one in shop.house.letters() if one.subject == "Odnowienie zostało zmienione"]
    assert [one.to for one in letters] == ["anna@rodzice.example"]
    text = shown(str(letters[0].text))
    for fact in (speak("pl").money(charged), speak("pl").money(YEAR), "11 września 2027", "co rok"):
        assert shown(fact) in text


async def test_a_pupil_more_is_added_without_being_named_and_costs_what_was_seen(shop: Shop) -> None:
    change = await begun(shop, "p1", "secret-name")
    await shop.live(LATER)
    choices = await shop.get(change)
    assert "Jeden uczeń więcej" in choices
    counted = await shop.post(change, 200, add="pupil")
    assert "secret-name" not in choices + counted.text
    assert "secret-name" not in str(counted.url)
    await shop.post(change, key=key_of(counted.text))
    await shop.house.settle()
    _, charged = await payments(shop)
    assert f"<dd>{speak('pl').money(charged)}<small>" in counted.text
    assert "1 października 2026 r." in shown(counted.text)
    assert (await shop.house.answer("anna", "secret-name")).reason == "paid"
    assert "11,98 zł" in shown(await shop.get(change.removesuffix("/change")))
    assert "Jeden uczeń więcej" not in await shop.get(change), "nobody is left to add"


async def test_r36_of_several_pupils_a_page_that_names_nobody_offers_none(shop: Shop) -> None:
    change = await begun(shop, "p1", "p2", "p3")
    page = await shop.get(change)
    assert "Kilkoro uczniów" in page
    assert 'name="add"' not in page
    await shop.post(change, add="pupil")
    assert await shop.house.rows("select 1 from renewal_change") == []


async def test_r64_without_the_box_nothing_is_made_and_the_same_amount_stands_above_the_fault(shop: Shop) -> None:
    change = await begun(shop, "p1")
    counted = await shop.post(change, 200, product=YEARLY)
    answer = await shop.post(change, 400, key=key_of(counted.text))
    assert 'href="#renew"' in answer.text
    assert key_of(answer.text) == key_of(counted.text)
    assert await payments(shop) == [MONTH]


async def test_r85_what_was_seen_too_long_ago_is_counted_again_and_not_charged(shop: Shop) -> None:
    change = await begun(shop, "p1")
    old = key_of((await shop.post(change, 200, product=YEARLY)).text)
    first = shop.house.now
    for moved in (timedelta(minutes=31), timedelta(hours=13, minutes=45)):
        shop.house.stand_at(first + moved)
        again = await shop.post(change, 409, key=old, renew="yes")
        assert "policzyliśmy od nowa" in again.text
        assert key_of(again.text) != old
        old = key_of(again.text)
    shop.house.stand_at(datetime(2026, 9, 1, 22, 1, tzinfo=UTC))
    again = await shop.post(change, 409, key=old, renew="yes")
    assert "2 września 2027 r." in shown(again.text), "another day: another day of the next charge"
    assert await payments(shop) == [MONTH]
    await shop.post(change, key=key_of(again.text), renew="yes")
    assert len(await payments(shop)) == 2


async def test_a_bank_that_says_no_changes_nothing_and_the_page_says_so(shop: Shop) -> None:
    change = await begun(shop, "p1")
    counted = await shop.post(change, 200, product=YEARLY)
    (row,) = await shop.house.rows("select provider_id from renewal")
    await shop.house.world.control(f"subscriptions/{row.provider_id}/next_payment", {"outcome": "declined"})
    answer = await shop.post(change, 409, key=key_of(counted.text), renew="yes")
    assert "Bank odrzucił płatność" in answer.text
    assert "Niczego nie zmieniono" in answer.text
    assert [tuple(row) for row in await shop.house.rows("select interval, state from renewal")] == [("month", "active")]


async def test_r136_f33_with_stripe_away_nothing_is_counted_and_what_was_ordered_is_made_later_by_itself(
    shop: Shop,
) -> None:
    change = await begun(shop, "p1")
    counted = await shop.post(change, 200, product=YEARLY)
    await shop.house.world.control("faults", {"api": "timeout_after"})
    assert "Nie możemy teraz policzyć" in (await shop.post(change, 503, product=YEARLY)).text
    waiting = await shop.post(change, 503, key=key_of(counted.text), renew="yes")
    assert "Prosimy nie zamawiać drugi raz" in waiting.text
    await shop.house.world.control("faults", {"api": "normal"})
    await shop.live(shop.house.now + timedelta(minutes=40))
    assert len(await payments(shop)) == 2
    done = await shop.post(change, key=key_of(counted.text), renew="yes")
    assert "Zmiana została wprowadzona" in await shop.get(done.headers["location"])
    assert len(await payments(shop)) == 2


async def test_months_instead_of_a_new_year_would_owe_money_and_the_page_says_when_they_can_be_had(shop: Shop) -> None:
    await shop.house.family("anna", "p1")
    change = f"{await shop.buy('anna', 'p1', product=YEARLY)}/renewal/change"
    answer = await shop.post(change, 409, product="mobile-addons-monthly")
    assert "w ostatnich dniach opłaconego czasu" in shown(answer.text)


async def test_i27_opening_changes_nothing_and_another_order_s_key_opens_nothing(shop: Shop) -> None:
    change = await begun(shop, "p1")
    await shop.house.family("jan", "q1")
    other = f"{await shop.buy('jan', 'q1')}/renewal/change"
    key = key_of((await shop.post(change, 200, product=YEARLY)).text)
    state = "select (select count(*) from audit), (select count(*) from renewal_change), (select count(*) from outbox)"
    before = [tuple(row) for row in await shop.house.rows(state)]
    assert 'name="done"' not in await shop.get(change)
    assert "Zmiana została wprowadzona" not in await shop.get(f"{change.removesuffix('/change')}?done=change")
    sends: tuple[dict[str, str], ...] = (
        {"key": key, "renew": "yes"}, {"key": "nonsense"}, {"product": "no-such"}, {"add": "pupil"}, {},
    )  # fmt: skip
    for sent in sends:
        answer = await shop.post(other, 303, **sent)
        assert answer.headers["location"].startswith(other.removesuffix("/change"))
    await shop.post("/orders/no-such-order/renewal/change", 404, key=key, renew="yes")
    assert [tuple(row) for row in await shop.house.rows(state)] == before


async def test_what_is_off_or_paused_offers_no_change(shop: Shop) -> None:
    change = await begun(shop, "p1")
    page = change.removesuffix("/renewal/change")
    assert change in await shop.get(f"{page}/renewal")
    for act, back in (("off", "on"), ("pause", "resume")):
        assert change not in await shop.act(page, act)
        assert (await shop.client.get(change)).status_code == 303
        await shop.post(change, product=YEARLY)
        await shop.act(page, back)
    assert await shop.house.rows("select 1 from renewal_change") == []
