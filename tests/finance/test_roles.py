"""Every role at every door: the table decides, and a door that is not in the table is a fault (R117)."""

import httpx2
import pytest
from litestar import Litestar

from billing.finance.rules import ROLES, ROUTES, Role
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from tests.finance.conftest import HOME, browser, let_in
from tests.finance.world import World


def doors(app: Litestar) -> set[tuple[str, str]]:
    """What the application really answers below /finance."""
    found: set[tuple[str, str]] = set()
    for route in app.routes:
        for method in getattr(route, "methods", ()):
            if method not in {"OPTIONS", "HEAD"}:
                found.add((method, route.path_format))
    return found


async def test_every_door_has_a_row_and_every_row_a_door(app: Litestar) -> None:
    assert doors(app) == {(route.method, route.path) for route in ROUTES}


def filled(path: str, world: World) -> str:
    known = {"{account}": "a-anna", "{order}": world.order, "{letter}": world.letter, "{name}": "finance.css",
             "{case}": world.case, "{act}": "withdrawal"}  # fmt: skip
    for name, value in known.items():
        path = path.replace(name, value)
    return path


async def knock(visitor: httpx2.AsyncClient, method: str, path: str) -> int:
    headers = {"origin": HOME, "sec-fetch-site": "same-origin"}
    form = {"csrf": "?"} if method == "POST" else None
    return (await visitor.request(method, path, data=form, headers=headers)).status_code


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_passes_exactly_where_the_table_says(
    app: Litestar, database: Database, clock: FixedClock, world: World, role: Role
) -> None:
    async with browser(app) as visitor:
        visitor.cookies.set("staff", await let_in(database, clock, role))
        for route in ROUTES:
            if route.roles is None or route.method == "POST":
                continue
            status = await knock(visitor, route.method, filled(route.path, world))
            assert status == (200 if role in route.roles else 403), (role, route.path)


async def test_nobody_passes_without_a_session(app: Litestar, world: World) -> None:
    async with browser(app) as visitor:
        for route in ROUTES:
            if route.roles is None:
                continue
            for token in (None, "", "x", "a" * 32):
                if token:
                    visitor.cookies.set("staff", token)
                status = await knock(visitor, route.method, filled(route.path, world))
                assert status == (303 if route.method == "GET" else 401), (route.path, token)
                visitor.cookies.clear()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_viewer_can_change_nothing_by_any_method_on_any_route(
    app: Litestar, database: Database, clock: FixedClock, world: World, method: str
) -> None:
    async with browser(app) as visitor:
        visitor.cookies.set("staff", await let_in(database, clock, "viewer"))
        for route in ROUTES:
            status = await knock(visitor, method, filled(route.path, world))
            assert status in {403, 405}, (method, route.path, status)
