"""What a parent's browser meets: headers, languages, pages that help, never another price than the one seen."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select

from billing.activation.tables import ActivationLinkRow
from billing.catalog.service import load
from billing.checkout.tables import ConsentRow, OrderRow
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.limits import Limiter
from billing.kernel.web_pages import ALL_WRONG_LINKS
from billing.sandbox.valkey import EmbeddedValkey
from tests.gateway.world import World
from tests.routes.house import Api, opened, settings_of

FORM = {"content-type": "application/x-www-form-urlencoded"}


def offered(html: str) -> str:
    """The hidden word by which the form names what the page showed."""
    return re.findall(r'name="offer" value="([0-9a-f]+)"', html)[0]


async def press(api: Api, path: str, offer: str, boxes: str = "terms=on") -> httpx2.Response:
    return await api.ask("POST", f"{path}/order", f"offer={offer}&{boxes}".encode(), scope=None, headers=FORM)


async def test_every_page_keeps_its_address_to_itself_r38(api: Api):
    await api.family()
    path = await api.link()
    for page in (
        path,
        "/activate/wrong",
        "/orders/wrong",
        "/confirm/wrong",
        "/regulamin",
        "/prywatnosc",
        "/dostepnosc",
        "/pomoc",
        "/nie-teraz",
    ):
        answer = await api.ask("GET", page, scope=None)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert "set-cookie" not in answer.headers
        assert "<script" not in answer.text
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', answer.text), "nothing is loaded from elsewhere"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "form-action 'self' https://checkout.stripe.com" in policy


async def test_a_page_is_small_enough_for_a_bad_connection(api: Api):
    await api.family()
    for page in (await api.link(), "/regulamin", "/nothing"):
        answer = await api.ask("GET", page, scope=None, headers={"accept": "text/html"})
        assert len(answer.content) < 30_000
    style = await api.ask("GET", "/static/style.css", scope=None)
    assert (style.status_code, len(style.content) < 20_000) == (200, True)


async def test_what_is_not_a_file_of_ours_is_not_there(api: Api):
    for name in ("..%2F..%2Fapp.py", "nothing.css", "%00", ".", "style.css%00", "..", "%2e%2e%2f"):
        assert (await api.ask("GET", f"/static/{name}", scope=None)).status_code == 404, name


@pytest.mark.parametrize(
    ("query", "accept", "language"),
    [
        ("", "", "pl"),
        ("", "en-GB,en;q=0.9,pl;q=0.8", "en"),
        ("", "uk,ru;q=0.9", "uk"),
        ("", "de-DE,de", "pl"),
        ("", "en;q=0.1,pl;q=0.9", "pl"),
        ("?lang=uk", "en", "uk"),
        ("?lang=xx", "en", "en"),
        ("", "\x01;;;q=,q=x", "pl"),
    ],
)
async def test_the_language_is_the_one_asked_for_else_the_browsers_else_polish(
    api: Api, query: str, accept: str, language: str
):
    answer = await api.ask("GET", f"/regulamin{query}", scope=None, headers={"accept-language": accept})
    assert (answer.status_code, answer.headers["content-language"]) == (200, language)
    assert f'<html lang="{language}"' in answer.text


async def test_opening_a_link_changes_nothing_however_often_i27_r33(api: Api, database: Database):
    await api.family()
    path = await api.link()
    first = await api.ask("GET", path, scope=None)
    for method in ("GET", "HEAD", "GET"):
        again = await api.ask(method, path, scope=None)
        assert again.status_code == 200
    assert offered(first.text)
    assert "Zamawiam i płacę" in first.text
    assert "a1" not in re.findall(r"[a-z0-9]+", first.text.replace(path, "")), "it names no account"
    async with database.begin() as session:
        assert await session.scalar(select(func.count()).select_from(OrderRow)) == 0


async def test_a_link_is_over_after_its_last_day_and_the_page_helps_r32_r35(api: Api, clock: FixedClock):
    await api.family()
    path = await api.link()
    end = clock.now().replace(day=15, hour=22)
    clock.move(end - timedelta(seconds=1))
    assert (await api.ask("GET", path, scope=None)).status_code == 200
    clock.move(end)
    for method, where in (("GET", path), ("POST", f"{path}/order")):
        answer = await api.ask(method, where, b"terms=on" if method == "POST" else None, scope=None, headers=FORM)
        assert (answer.status_code, answer.headers["content-type"]) == (410, "text/html; charset=utf-8")
        assert "anna" not in answer.text


async def test_an_erased_accounts_link_and_a_made_up_one_answer_alike_i26(api: Api):
    await api.family()
    path = await api.link()
    await api.told("DELETE", "/v1/accounts/a1")
    erased = await api.ask("GET", path, scope=None)
    made_up = await api.ask("GET", "/activate/" + "x" * 32, scope=None)
    assert (erased.status_code, made_up.status_code) == (404, 404)
    assert erased.text == made_up.text


async def test_without_the_terms_nothing_is_ordered_and_the_box_is_pointed_at_r45(api: Api, database: Database):
    await api.family()
    path = await api.link()
    page = await api.ask("GET", path, scope=None)
    for boxes in ("", "start_now=on"):
        answer = await press(api, path, offered(page.text), boxes)
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
        assert 'href="#terms"' in answer.text
        assert "Mam ukończone 18 lat" in answer.text, "R47: so does whoever was sent the link by another"
    async with database.begin() as session:
        assert await session.scalar(select(func.count()).select_from(OrderRow)) == 0


@pytest.mark.slow
async def test_the_click_leads_to_the_payment_page_and_a_second_click_to_the_same_r34(shop: Api, database: Database):
    await shop.family()
    path = await shop.link()
    page = await shop.ask("GET", path, scope=None)
    first, second = [await press(shop, path, offered(page.text), "terms=on&start_now=on") for _ in range(2)]
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["location"] == second.headers["location"]
    assert first.headers["cache-control"] == "no-store"
    async with database.begin() as session:
        (order,) = await session.scalars(select(OrderRow))
        given = {row.kind: row.given for row in await session.scalars(select(ConsentRow))}
    assert (order.total, order.state, given) == (4499, "incomplete", {"terms": True, "start_now": True})


@pytest.mark.slow
async def test_a_price_that_changed_meanwhile_is_shown_with_409_and_nothing_is_opened_r85(
    shop: Api,
    database: Database,
    database_url: str,
    valkey: EmbeddedValkey,
    world: World,
    clock: FixedClock,
    tmp_path: Path,
):
    await shop.family()
    path = await shop.link()
    before = await shop.ask("GET", path, scope=None)
    dearer = tmp_path / "dearer.toml"
    shipped = Path(str(load.__code__.co_filename)).parent / "catalog.toml"
    dearer.write_text(shipped.read_text(encoding="utf-8").replace("4499", "4999"), encoding="utf-8")
    settings = settings_of(database_url, valkey.url(), STRIPE_API_BASE=world.base, CATALOG=str(dearer))
    async with opened(settings, clock, {}) as changed:
        answer = await press(changed, path, offered(before.text))
        assert answer.status_code == 409
        assert re.search(r"49,99.zł", answer.text)
        assert offered(answer.text) != offered(before.text)
        assert (await world.control("requests"))["data"] == []
        again = await press(changed, path, offered(answer.text))
        assert again.status_code == 303
    async with database.begin() as session:
        assert [order.total for order in await session.scalars(select(OrderRow))] == [4999]


async def test_with_the_provider_down_it_is_a_polite_503_and_the_link_stays_good_r136(api: Api):
    await api.family()
    path = await api.link()
    page = await api.ask("GET", path, scope=None)
    answer = await press(api, path, offered(page.text))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await api.ask("GET", path, scope=None)).status_code == 200


async def test_a_minors_account_is_told_whom_to_ask_r47(api: Api):
    await api.family("a3", "p3", age_band="13_17", kind="pupil")
    path = await api.link("a3", "p3")
    shown = await api.ask("GET", path, scope=None)
    assert shown.status_code == 200
    assert "Zamawiam i płacę" not in shown.text
    assert (await press(api, path, "0", "terms=on")).status_code == 403


@pytest.mark.slow
async def test_a_thousand_wrong_links_are_429_and_a_valid_one_from_the_same_address_still_works_r39(api: Api):
    await api.family()
    path = await api.link()

    async def guess(number: int) -> int:
        where = ("/activate/", "/orders/", "/confirm/")[number % 3]
        invented = {"x-forwarded-for": f"198.51.{number % 100}.{number // 100}"}  # the peer counts, not its words (S51)
        return (await api.ask("GET", f"{where}guess{number:028}", scope=None, headers=invented)).status_code

    answers: list[int] = []
    for start in range(0, 1000, 20):
        answers += await asyncio.gather(*(guess(number) for number in range(start, start + 20)))
    assert set(answers) == {404, 429}
    assert answers.count(404) <= 110
    assert answers[-100:].count(429) >= 98
    spent = await api.ask("GET", "/activate/one-more", scope=None)
    assert (spent.status_code, spent.headers["content-type"]) == (429, "text/html; charset=utf-8")
    assert int(spent.headers["retry-after"]) >= 1
    assert (await api.ask("GET", path, scope=None)).status_code == 200


@pytest.mark.slow
async def test_behind_our_proxy_each_address_has_its_own_limit_and_no_invented_one_s51(
    database_url: str, valkey: EmbeddedValkey, clock: FixedClock
):
    settings = settings_of(database_url, valkey.url(), TRUSTED_PROXIES="203.0.113.0/24")
    async with opened(settings, clock, {}) as api:

        async def guess(told: str) -> int:
            answer = await api.ask("GET", f"/activate/{told:x>32}", scope=None, headers={"x-forwarded-for": told})
            return answer.status_code

        answers = [await guess(f"192.0.2.{number}, 198.51.100.7") for number in range(110)]
        assert (set(answers[:100]), set(answers[105:])) == ({404}, {429})
        assert await guess("198.51.100.7, 198.51.100.8") == 404


@pytest.fixture
async def guessed(valkey: EmbeddedValkey) -> AsyncIterator[None]:
    """From many addresses, as often as is allowed; forgotten afterwards."""
    limiter, store = Limiter(valkey.url()), Redis.from_url(valkey.url())
    uses = (limiter.take(ALL_WRONG_LINKS, "all") for _ in range(ALL_WRONG_LINKS.quota))
    await asyncio.gather(*uses, return_exceptions=True)
    yield
    await store.delete(*await store.keys(f"*{ALL_WRONG_LINKS.name}*"))
    await store.aclose()
    await limiter.close()


@pytest.mark.usefixtures("guessed")
async def test_guessing_from_many_addresses_is_limited_too_and_a_valid_link_still_works_r39(api: Api):
    await api.family()
    path = await api.link()
    answers = [
        (await api.ask("GET", f"{where}guess{number}", scope=None)).status_code
        for where in ("/activate/", "/orders/", "/confirm/") for number in range(10)
    ]  # fmt: skip
    assert set(answers) <= {404, 429}
    assert answers.count(404) < 10, "a few come free again each second"
    assert (await api.ask("GET", path, scope=None)).status_code == 200


async def test_a_browser_gets_a_page_and_a_program_a_problem(api: Api):
    for path, accept, kind in (
        ("/nothing", "text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("/nothing", "application/json", "application/problem+json"),
        ("/nothing", "", "application/problem+json"),
        ("/v1/nothing", "text/html", "application/problem+json"),
        ("/activate/x/y/z", "", "text/html; charset=utf-8"),
    ):
        answer = await api.ask("GET", path, scope=None, headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (404, kind), (path, accept)


async def test_only_the_hash_of_a_token_is_kept_r31(api: Api, database: Database):
    await api.family()
    path = await api.link()
    async with database.begin() as session:
        (row,) = await session.scalars(select(ActivationLinkRow))
    assert path.rsplit("/", 1)[1].encode() not in msgspec.json.encode(
        {name: str(value) for name, value in vars(row).items()}
    )
