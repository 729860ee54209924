"""From the click to the right: one order, one page to pay on, one right, and no money that is lost (R34, R45–R50)."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError

from billing.catalog.values import Catalogue
from billing.checkout.placing import NotForSale, OfferChanged
from billing.kernel.errors import BillingError
from entitlements import service as desk
from tests.services.house import House
from tests.services.invariants import check

UNTIL = datetime(2027, 6, 30, 22, tzinfo=UTC)


def priced(catalogue: Catalogue, gross: int = 4499, vat_rate_percent: int = 23) -> Catalogue:
    """The catalogue with another price for the same time, or another rate of tax in it."""
    product, *others = catalogue.products
    changes = {"gross": gross, "vat_rate_percent": vat_rate_percent}
    prices = tuple(msgspec.structs.replace(price, **changes) for price in product.prices)
    return msgspec.structs.replace(catalogue, products=(msgspec.structs.replace(product, prices=prices), *others))


async def sessions(house: House) -> list[Any]:
    store = house.world.standin._store
    return [(page["status"], page["amount_total"]) for page in reversed(store.all_of("checkout.session"))]


async def clicks(house: House, tokens: list[str]) -> list[str | BaseException]:
    """All at once; what each buyer got."""
    shown = [await house.offer(token) for token in tokens]
    pairs = zip(tokens, shown, strict=True)
    return await asyncio.gather(*(house.click(token, shown=mark) for token, mark in pairs), return_exceptions=True)


async def until_there(house: House, token: str) -> str:
    """A person who was told to try again in a moment, and does."""
    for _ in range(5):
        try:
            return await house.click(token)
        except BillingError:
            house.stand_at(house.now + timedelta(seconds=5))
    raise AssertionError("the click never leads anywhere")


class Slow:
    """The real gateway, behind a line on which opening a page takes a while to arrive."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def open_checkout(self, wanted: Any) -> Any:
        await asyncio.sleep(0.3)
        return await self.inner.open_checkout(wanted)


async def test_f39_clicks_at_once_over_a_slow_line_are_one_page_too(house: House) -> None:
    await house.family("anna", "p1")
    token = await house.token("anna", "p1")
    shown = await house.offer(token)
    slow: Any = Slow(house.services.gateway)
    found = await asyncio.gather(
        *(house.click(token, shown=shown, gateway=slow) for _ in range(8)), return_exceptions=True
    )
    assert all(isinstance(each, (str, BillingError)) for each in found), found
    last = await until_there(house, token)
    assert {url for url in found if isinstance(url, str) and "/pay/" in url} <= {last}
    assert [status for status, _ in await sessions(house)] == ["open"], "I11: two pages to pay on"
    await house.settle()
    await check(house)


@pytest.mark.parametrize("at_once", [2, 3, 8])
async def test_f39_many_clicks_at_once_are_one_order_and_one_page(house: House, at_once: int) -> None:
    for number in range(3):
        account, pupil = f"a{number}", f"p{number}"
        await house.family(account, pupil)
        token = await house.token(account, pupil)
        found = await clicks(house, [token] * at_once)
        urls = {url for url in found if isinstance(url, str)}
        assert all(isinstance(fault, (str, BillingError)) for fault in found), found
        urls |= {await until_there(house, token)}
        assert len([url for url in urls if "/pay/" in url]) == 1
    assert [status for status, _ in await sessions(house)] == ["open"] * 3
    assert await house.one("select count(*) from orders") == 3
    await house.settle()
    await check(house)


async def buyers_at_once(house: House, number: int) -> None:
    pupil = f"p{number}"
    accounts = [f"b{number}x{buyer}" for buyer in range(8)]
    for account in accounts:
        await house.family(account, pupil)
    tokens = [await house.token(account, pupil) for account in accounts]
    found = await clicks(house, tokens)
    urls = [url for url in found if isinstance(url, str)]
    assert len(urls) == 8, found
    await asyncio.gather(*(house.pay(url) for url in urls))
    await house.settle()
    orders = "select state from orders where :pupil = any(pupils)"
    assert [tuple(row) for row in await house.rows(orders, pupil=pupil)] == [("paid",)] * 8
    rights = await house.rows("select state from subscription where pupil = :pupil", pupil=pupil)
    assert [tuple(row) for row in rights] == [("active",)], "I11: one right"


async def test_r49_i11_i12_eight_buyers_at_once_make_one_right_and_seven_whole_refunds(house: House) -> None:
    for number in range(2):
        await buyers_at_once(house, number)
    await all_returned(house, 2)


async def all_returned(house: House, rounds: int) -> None:
    returned = Counter([tuple(row) for row in await house.rows("select reason, amount, state from refund")])
    assert returned == {("duplicate", 4499, "succeeded"): 7 * rounds}
    told = Counter(letter.subject.split(":")[0].split(" ")[0] for letter in house.letters())
    assert sum(told.values()) == 8 * rounds, "one is told of the contract, seven of their money"
    await check(house)


async def test_two_orders_that_share_a_pupil_give_one_right_each_and_part_of_the_money_back(house: House) -> None:
    await house.family("anna", "p1", "p2")
    one = await house.click(await house.token("anna", "p1"))
    both = await house.click(await house.token("anna", "p1", "p2"))
    assert one != both
    await house.pay(one)
    await house.pay(both, "card")
    await house.settle()
    assert await house.rows("select reason, amount, state from refund") == [("duplicate", 4499, "succeeded")]
    assert await house.rows("select pupil, state from subscription order by 1") == [("p1", "active"), ("p2", "active")]
    await check(house)


async def test_r45_what_was_accepted_is_frozen_whatever_changes_afterwards(house: House) -> None:
    await house.family("anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    frozen = "select unit_gross, total, vat_rate_percent, terms_hash, terms_version, until, product_name from orders"
    before = await house.rows(frozen)
    house.catalogue = priced(house.catalogue, 9999)
    await house.pay(url)
    await house.settle()
    assert await house.rows(frozen) == before
    assert await house.one("select amount from payment") == 4499
    await check(house)


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(days=20)], ids=["page open", "page over"])
@pytest.mark.parametrize("change", ["tax rate", "terms", "school", "language"])
async def test_r13_r45_r105_an_order_left_lying_is_made_anew_where_what_is_accepted_is_another(
    house: House, change: str, later: timedelta
) -> None:
    await house.register("anna")
    await house.link("anna", "p1", "sp5")
    first = await house.click(await house.token("anna", "p1"))
    await house.advance(house.now + later)
    given: dict[str, Any] = {}
    if change == "tax rate":
        house.catalogue = priced(house.catalogue, vat_rate_percent=24)
    elif change == "terms":
        given["terms_version"] = "2027-01"
    elif change == "language":
        given["locale"] = "uk"
    else:
        async with house.database.begin() as session:
            await desk.put_school_blocks(session, "sp5", ("messages",), house.now)
    second = await house.click(await house.token("anna", "p1"), **given)
    assert second != first
    assert [amount for status, amount in await sessions(house) if status == "open"] == [4499], "one open page (R34)"
    await house.pay(second)
    await house.settle()
    query = "select state, vat_rate_percent, terms_version, blocked_features, locale from orders order by number"
    old, new = await house.rows(query)
    assert (old.state, new.state) == ("expired", "paid")
    assert (new.vat_rate_percent, new.terms_version, new.blocked_features, new.locale) == {
        "tax rate": (24, "2026-11", [], "pl"), "terms": (23, "2027-01", [], "pl"),
        "school": (23, "2026-11", ["messages"], "pl"), "language": (23, "2026-11", [], "uk"),
    }[change]  # fmt: skip
    assert await house.one("select vat_rate_percent from ledger_sale") == new.vat_rate_percent
    await check(house)


async def test_r85_a_price_that_changed_after_the_page_was_opened_is_shown_before_anything_is_ordered(
    house: House,
) -> None:
    await house.family("anna", "p1")
    token = await house.token("anna", "p1")
    shown = await house.offer(token)
    house.catalogue = priced(house.catalogue, 4999)
    with pytest.raises(OfferChanged):
        await house.click(token, shown=shown)
    assert await sessions(house) == []
    assert await house.one("select count(*) from orders") == 0


async def test_r85_i16_the_price_on_the_page_to_pay_is_the_one_that_was_just_shown(house: House) -> None:
    await house.family("anna", "p1")
    token = await house.token("anna", "p1")
    first = await house.click(token)
    house.catalogue = priced(house.catalogue, 4999)
    second = await house.click(token)
    assert second != first
    opened = [amount for status, amount in await sessions(house) if status == "open"]
    assert opened == [4999]
    await house.pay(second)
    await house.settle()
    assert await house.one("select amount from payment") == 4999
    await check(house)


async def test_r50_nothing_to_pay_needs_no_provider_and_gives_the_right_at_once(house: House) -> None:
    await house.family("anna", "p1")
    house.catalogue = priced(house.catalogue, 0)
    page = await house.click(await house.token("anna", "p1"))
    assert "/orders/" in page
    assert await sessions(house) == []
    await house.settle()
    assert (await house.answer("anna", "p1")).reason == "paid"
    assert await house.one("select state from orders") == "paid"


async def test_r43_r92_consents_are_kept_and_nobody_can_change_them(house: House) -> None:
    await house.family("anna", "p1")
    await house.click(await house.token("anna", "p1"), start_now=False)
    rows = await house.rows("select kind, given, text_hash, version, at from consent order by kind")
    assert [tuple(row) for row in rows] == [
        ("start_now", False, "s" * 64, "2026-11", house.now),
        ("terms", True, "t" * 64, "2026-11", house.now),
    ]
    for statement in ("update consent set given = true", "delete from consent", "truncate consent"):
        with pytest.raises(DBAPIError, match="append-only"):
            await house.rows_changed(statement)


@pytest.mark.parametrize("age_band", ["13_17", "under_13"])
async def test_r47_a_minor_orders_nothing(house: House, age_band: str) -> None:
    await house.family("child", "p1", age_band=age_band, kind="pupil", guardian_email="mum@rodzice.example")
    with pytest.raises(NotForSale, match=r"cannot be sold|can be sold"):
        await house.click(await house.token("child", "p1"))
    assert await house.one("select count(*) from orders") == 0


async def test_r13_where_the_school_blocks_everything_nothing_is_sold_and_nobody_is_called(house: House) -> None:
    await house.register("anna")
    await house.link("anna", "p1", "sp5")
    async with house.database.begin() as session:
        await desk.put_school_blocks(session, "sp5", house.catalogue.add_ons, house.now)
    with pytest.raises(NotForSale):
        await house.click(await house.token("anna", "p1"))
    assert await sessions(house) == []
