"""Coming in by the stand-in provider over real HTTP, staying, and going out."""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from litestar import Litestar
from sqlalchemy import func, select

from billing.finance.rules import IDLE, LONGEST
from billing.finance.tables import StaffSessionRow
from billing.kernel.audit import AuditRow
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.tokens import token_hash
from tests.finance.conftest import HOME, browser, let_in, rooms, settings
from tests.sandbox.conftest import Outside, outside

__all__ = ["outside"]
QUOTES = '\\"' * 30_000
SAME = {"origin": HOME, "sec-fetch-site": "same-origin"}


@pytest.fixture
async def visitor(outside: Outside, database: Database, clock: FixedClock) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser at rooms that know the stand-in provider; both live by the same clock."""
    clock.move(datetime.fromisoformat(outside.client.get("/sandbox/clock").json()["now"]))
    async with browser(knowing(outside, database, clock), outside.base) as made:
        yield made


def knowing(outside: Outside, database: Database, clock: FixedClock, claim: str = "roles") -> Litestar:
    client = outside.home.oidc_client
    return rooms(
        database,
        clock,
        settings(outside.base, client_id=client.client_id, client_secret=client.client_secret, roles_claim=claim),
    )


async def answered(visitor: httpx2.AsyncClient, outside: Outside, login: str) -> str:
    """The address at which the provider answers for somebody who logs in there."""
    begun = await visitor.get("/finance/login")
    assert begun.status_code == 303
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{outside.base}/finance/callback"
    chosen = outside.client.post("/sandbox/openid/authorize", data={**asked, "login": login})
    return chosen.headers["location"]


async def acts(database: Database) -> list[tuple[str, str]]:
    async with database.begin() as session:
        rows = await session.execute(select(AuditRow.actor, AuditRow.action).order_by(AuditRow.id))
        return [(actor, action) for actor, action in rows]


@pytest.mark.parametrize("role", ["viewer", "finance", "finance_lead", "auditor", "admin"])
async def test_a_member_of_staff_comes_in_with_the_role_the_provider_tells(
    visitor: httpx2.AsyncClient, outside: Outside, database: Database, role: str
) -> None:
    led = await visitor.get("/finance/", headers={"accept": "text/html"})
    assert (led.status_code, led.headers["location"]) == (303, "/finance/login")
    came = await visitor.get(await answered(visitor, outside, role))
    assert (came.status_code, came.headers["location"]) == (303, "/finance/")
    cookie = next(each for each in came.headers.get_list("set-cookie") if each.startswith("staff="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    async with database.begin() as session:
        row = (await session.scalars(select(StaffSessionRow))).one()
        assert (row.role, row.subject, row.email) == (role, f"sandbox-{role}", f"{role}@staff.example")
        assert row.token_hash == token_hash(visitor.cookies["staff"])
    assert (await visitor.get("/finance/")).status_code == 200
    assert (f"staff:sandbox-{role}", "finance.logged_in") in await acts(database)


async def test_a_new_log_in_gets_a_new_token_and_ends_the_old_one(
    visitor: httpx2.AsyncClient, outside: Outside, database: Database
) -> None:
    """S45."""
    await visitor.get(await answered(visitor, outside, "viewer"))
    first = visitor.cookies["staff"]
    await visitor.get(await answered(visitor, outside, "admin"))
    assert visitor.cookies["staff"] != first
    async with database.begin() as session:
        assert [row.role for row in await session.scalars(select(StaffSessionRow))] == ["admin"]


async def test_an_answer_for_another_browser_or_a_second_time_lets_nobody_in(
    visitor: httpx2.AsyncClient, outside: Outside, database: Database, clock: FixedClock
) -> None:
    address = await answered(visitor, outside, "admin")
    async with browser(knowing(outside, database, clock), outside.base) as victim:
        stranger = await victim.get(address)
        await victim.get("/finance/login")
        other_attempt = await victim.get(address)
    assert (stranger.status_code, other_attempt.status_code) == (403, 403)
    assert "set-cookie" not in stranger.headers
    assert (await visitor.get(address)).status_code == 303
    assert (await visitor.get(address)).status_code == 403


@pytest.mark.parametrize(
    "change", [("code=", "code=x"), ("iss=http", "iss=https"), ("state=", "state=x"), ("code=", "error=")]
)
async def test_a_changed_answer_lets_nobody_in(
    visitor: httpx2.AsyncClient, outside: Outside, database: Database, change: tuple[str, str]
) -> None:
    address = await answered(visitor, outside, "admin")
    assert change[0] in address
    refused = await visitor.get(address.replace(*change, 1))
    assert refused.status_code == 403
    assert "Logowanie się nie powiodło" in refused.text
    async with database.begin() as session:
        assert await session.scalar(select(func.count()).select_from(StaffSessionRow)) == 0


async def test_an_answer_that_comes_too_late_lets_nobody_in(
    visitor: httpx2.AsyncClient, outside: Outside, clock: FixedClock
) -> None:
    address = await answered(visitor, outside, "admin")
    clock.move(clock.now() + timedelta(minutes=11))
    assert (await visitor.get(address)).status_code == 403


async def test_somebody_without_a_role_is_told_so_and_noted(
    outside: Outside, database: Database, clock: FixedClock
) -> None:
    clock.move(datetime.fromisoformat(outside.client.get("/sandbox/clock").json()["now"]))
    async with browser(knowing(outside, database, clock, "groups"), outside.base) as visitor:
        refused = await visitor.get(await answered(visitor, outside, "admin"))
        assert refused.status_code == 403
        assert "Brak uprawnień" in refused.text
        assert "staff" not in visitor.cookies
    assert await acts(database) == [("staff:sandbox-admin", "finance.login_refused")]


async def test_the_answer_leads_to_the_list_whatever_else_it_says(
    visitor: httpx2.AsyncClient, outside: Outside
) -> None:
    address = await answered(visitor, outside, "admin")
    came = await visitor.get(f"{address}&next=https://evil.example&redirect_uri=https://evil.example")
    assert came.headers["location"] == "/finance/"


async def test_without_a_provider_people_are_asked_to_come_back(database: Database, clock: FixedClock) -> None:
    app = rooms(database, clock, settings("http://127.0.0.1:9"))
    async with browser(app) as visitor:
        answer = await visitor.get("/finance/login")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


async def test_a_session_ends_after_half_an_hour_of_rest_and_after_ten_hours(
    app: Litestar, database: Database, clock: FixedClock
) -> None:
    """S46."""
    async with browser(app) as visitor:
        visitor.cookies.set("staff", await let_in(database, clock, "viewer"))
        clock.move(clock.now() + IDLE - timedelta(seconds=1))
        assert (await visitor.get("/finance/tasks")).status_code == 200
        clock.move(clock.now() + IDLE)
        assert (await visitor.get("/finance/tasks")).headers["location"] == "/finance/login"
        visitor.cookies.set("staff", await let_in(database, clock, "viewer"))
        begun = clock.now()
        while clock.now() < begun + LONGEST - timedelta(minutes=20):
            clock.move(clock.now() + timedelta(minutes=20))
            assert (await visitor.get("/finance/tasks")).status_code == (200 if clock.now() < begun + LONGEST else 303)
        clock.move(begun + LONGEST)
        assert (await visitor.get("/finance/tasks")).status_code == 303


async def test_log_out_ends_the_session_on_the_server(app: Litestar, database: Database, clock: FixedClock) -> None:
    async with browser(app) as visitor:
        token = await let_in(database, clock, "viewer")
        visitor.cookies.set("staff", token)
        page = await visitor.get("/finance/tasks")
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        gone = await visitor.post("/finance/logout", data={"csrf": csrf}, headers=SAME)
        assert gone.status_code == 303, gone.text
        assert (gone.status_code, gone.headers["location"]) == (303, "/finance/logged-out")
        assert (await visitor.get("/finance/logged-out")).status_code == 200
        visitor.cookies.set("staff", token)
        assert (await visitor.get("/finance/tasks")).status_code == 303
    assert ("staff:s-viewer", "finance.logged_out") in await acts(database)


async def test_a_form_needs_this_sessions_token_and_our_own_page(
    app: Litestar, database: Database, clock: FixedClock
) -> None:
    """S42, S44."""
    async with browser(app) as visitor:
        visitor.cookies.set("staff", await let_in(database, clock, "admin"))
        other = await let_in(database, clock, "viewer")
        csrf = (await visitor.get("/finance/tasks")).text.split('name="csrf" value="')[1].split('"')[0]
        async with browser(app) as second:
            second.cookies.set("staff", other)
            foreign = (await second.get("/finance/tasks")).text.split('name="csrf" value="')[1].split('"')[0]
        for data in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": foreign}):
            assert (await visitor.post("/finance/logout", data=data, headers=SAME)).status_code in {400, 403}
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": HOME + ".evil.example"},
        ):
            refused = await visitor.post("/finance/logout", data={"csrf": csrf}, headers=headers)
            assert refused.status_code == 403, headers
        assert (await visitor.get("/finance/tasks")).status_code == 200


async def test_over_https_the_cookies_are_bound_to_this_host(database: Database, clock: FixedClock) -> None:
    """S45."""
    app = rooms(database, clock, settings("https://billing.example"))
    async with browser(app, "https://billing.example") as visitor:
        visitor.cookies.set("staff", await let_in(database, clock, "viewer"))
        assert (await visitor.get("/finance/tasks")).status_code == 303
        visitor.cookies.clear()
        visitor.cookies.set("__Host-staff", await let_in(database, clock, "viewer"))
        assert (await visitor.get("/finance/tasks")).status_code == 200
        cookie = app.state.entrance.cookie("staff", "x").to_header(header="")
    assert cookie.startswith("__Host-staff=x")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}


async def test_s70_a_hostile_cookie_is_looked_at_without_much_work(app: Litestar) -> None:
    """To unquote as much takes a quadratic reader seconds; a collection of garbage may fall into it here."""
    hostile = "; ".join(f'{name}="{QUOTES}"' for name in ("staff", "staff_lang", "staff_done"))
    async with browser(app) as stranger:
        begun = time.thread_time()
        answer = await stranger.get("/finance/", headers={"cookie": hostile})
        assert time.thread_time() - begun < 1
    assert answer.status_code == 303
