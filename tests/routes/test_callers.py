"""Who may call what: every route of the application, by every caller. A route without a row here fails."""

from collections.abc import Iterator

import msgspec
import pytest
from litestar.routes import HTTPRoute

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.keys import SCOPES, create_key, revoke_key
from tests.routes.house import Api

ACCOUNTS, COMMERCE, RIGHTS = "accounts:write", "commerce:write", "entitlements:read"

BACKEND = {
    "PUT /v1/accounts/{account:str}": ACCOUNTS,
    "GET /v1/accounts/{account:str}": ACCOUNTS,
    "DELETE /v1/accounts/{account:str}": ACCOUNTS,
    "GET /v1/accounts/{account:str}/export": ACCOUNTS,
    "GET /v1/accounts/{account:str}/pupils": ACCOUNTS,
    "PUT /v1/accounts/{account:str}/pupils/{pupil:str}": ACCOUNTS,
    "DELETE /v1/accounts/{account:str}/pupils/{pupil:str}": ACCOUNTS,
    "PUT /v1/schools/{school:str}": ACCOUNTS,
    "GET /v1/accounts/{account:str}/notices": ACCOUNTS,
    "POST /v1/notices/{notice:str}/shown": ACCOUNTS,
    "POST /v1/accounts/{account:str}/activation-links": COMMERCE,
    "GET /v1/accounts/{account:str}/subscriptions": COMMERCE,
    "GET /v1/subscriptions/{subscription:str}": COMMERCE,
    "POST /v1/webhook-endpoints": COMMERCE,
    "GET /v1/webhook-endpoints": COMMERCE,
    "GET /v1/webhook-endpoints/{endpoint:str}": COMMERCE,
    "DELETE /v1/webhook-endpoints/{endpoint:str}": COMMERCE,
    "POST /v1/webhook-endpoints/{endpoint:str}/rotate-secret": COMMERCE,
    "POST /v1/webhook-endpoints/{endpoint:str}/enable": COMMERCE,
    "POST /v1/webhook-endpoints/{endpoint:str}/replay": COMMERCE,
    "GET /v1/webhook-endpoints/{endpoint:str}/deliveries": COMMERCE,
    "POST /v1/webhook-endpoints/{endpoint:str}/deliveries/{delivery:str}/retry": COMMERCE,
    "GET /v1/catalog": RIGHTS,
    "GET /v1/accounts/{account:str}/entitlements": RIGHTS,
    "HEAD /v1/accounts/{account:str}/entitlements": RIGHTS,
    "GET /v1/accounts/{account:str}/entitlements/{feature:str}": RIGHTS,
    "HEAD /v1/accounts/{account:str}/entitlements/{feature:str}": RIGHTS,
    "POST /v1/entitlements/check": RIGHTS,
    "GET /v1/accounts/{account:str}/entitlements.jwt": RIGHTS,
    "HEAD /v1/accounts/{account:str}/entitlements.jwt": RIGHTS,
    "POST /ofrep/v1/evaluate/flags/{feature:str}": RIGHTS,
    "POST /ofrep/v1/evaluate/flags": RIGHTS,
    "GET /v1/changes": RIGHTS,
}
"""What the app backend calls, and the scope that lets it."""

OPEN_TO_ALL = {
    "POST /webhooks/stripe",
    "GET /confirm/{token:str}",
    "POST /confirm/{token:str}",
    "GET /activate/{token:str}",
    "POST /activate/{token:str}/order",
    "GET /orders/{token:str}",
    "GET /orders/{token:str}/renewal",
    "POST /orders/{token:str}/renewal",
    "GET /orders/{token:str}/renewal/price",
    "POST /orders/{token:str}/renewal/price",
    "POST /orders/{token:str}/renewal/card",
    "GET /orders/{token:str}/renewal/change",
    "POST /orders/{token:str}/renewal/change",
    "GET /orders/{token:str}/withdrawal",
    "POST /orders/{token:str}/withdrawal",
    "GET /orders/{token:str}/invoice",
    "POST /orders/{token:str}/invoice",
    "GET /regulamin",
    "GET /prywatnosc",
    "GET /dostepnosc",
    "GET /pomoc",
    "GET /nie-teraz",
    "GET /static/{name:str}",
    "GET /problems/{code:str}",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
    "GET /schema",
    "GET /schema/openapi.json",
    "GET /schema/{path:str}",
    "GET /.well-known/jwks.json",
    "HEAD /.well-known/jwks.json",
}
"""Pages, documents, operations and the provider's door: no key is asked for, and none helps."""

STAFF = "/finance"
"""Everything below it is for staff who have logged in."""

STAFF_DOOR = {"/finance/login", "/finance/callback", "/finance/logged-out", "/finance/static/{name:str}"}
"""All that somebody sees of it who has not."""

_EXAMPLES = {
    "account": "a1",
    "pupil": "p1",
    "school": "sp5",
    "feature": "messages",
    "notice": "ntc_x",
    "subscription": "sub_x",
    "token": "unknown",
    "name": "style.css",
    "code": "not_found",
    "path": "nothing",
}


def routes_of(api: Api) -> Iterator[tuple[str, str, str]]:
    """Every method and path, with an example of it."""
    for route in api.app.routes:
        assert isinstance(route, HTTPRoute), f"{route.path} is of a kind this matrix does not know"
        example = route.path_format.format(**_EXAMPLES, order="ord_x", letter="ntc_x", event="evt_x", **_NO_OTHERS)
        for method in route.route_handler_map:
            if method != "OPTIONS":
                yield str(method), route.path, example


_NO_OTHERS: dict[str, str] = {
    "refund": "ref_x",
    "trial": "trl_x",
    "message": "x",
    "case": "case_x",
    "act": "refund",
    "endpoint": "whk_x",
    "delivery": "x",
}


def allows(row: str, scope: str | None) -> bool:
    return scope in {BACKEND[row], "admin"}


async def test_every_route_has_a_row_and_every_row_a_route(api: Api):
    rows = {f"{method} {path}" for method, path, _ in routes_of(api) if not path.startswith(STAFF)}
    assert rows - OPEN_TO_ALL - set(BACKEND) == set(), "say in this file who may call these"
    assert set(BACKEND) - rows == set()


@pytest.mark.parametrize("scope", [None, *SCOPES])
async def test_every_backend_route_answers_the_scope_it_is_for_and_no_other_i26(api: Api, scope: str | None):
    await api.family()
    for method, path, example in routes_of(api):
        row = f"{method} {path}"
        if row not in BACKEND or method == "DELETE":
            continue
        answer = await api.ask(method, example, scope=scope)
        expected = 401 if scope is None else 403
        if allows(row, scope):
            assert answer.status_code not in {401, 403}, f"{row} with {scope}: {answer.text}"
            continue
        assert answer.status_code == expected, f"{row} with {scope}"
        if method != "HEAD":
            assert answer.json()["code"] == ("key_missing" if scope is None else "scope_missing")


async def test_no_route_that_deletes_is_open_to_another_scope_i26(api: Api):
    await api.family()
    for method, path, example in routes_of(api):
        if method == "DELETE":
            for scope in (None, *SCOPES):
                if not allows(f"{method} {path}", scope):
                    status = 401 if scope is None else 403
                    assert (await api.ask(method, example, scope=scope)).status_code == status
    assert (await api.told("GET", "/v1/accounts/a1/pupils"))["data"][0]["pupil"] == "p1"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer edk_test_unknown_0", "Basic YTpi", "edk_test", "Bearer \x00", "Bearer zażółć"],
)
async def test_a_bad_key_is_told_401_and_how_to_say_who_asks(api: Api, authorization: str):
    for row in BACKEND:
        method, path = row.split(" ", 1)
        example = path.replace(":str", "").format(**_EXAMPLES, **_NO_OTHERS)
        sent = {"authorization": authorization.encode()}
        answer = await api.ask(method, example, scope=None, headers=sent)
        assert answer.status_code == 401, row
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_nothing_is_said_of_a_request_before_its_key_is_known(api: Api):
    """A stranger learns neither which fields there are nor which accounts."""
    await api.family()
    for account in ("a1", "nobody"):
        answer = await api.ask("PUT", f"/v1/accounts/{account}?foo=1", {"nonsense": True}, scope=None)
        assert (answer.status_code, answer.json()["errors"]) == (401, [])


async def test_pages_and_documents_ask_for_no_key_and_set_no_cookie_r38(api: Api):
    for method, path, example in routes_of(api):
        if f"{method} {path}" in OPEN_TO_ALL:
            for headers in ({}, {"authorization": "Bearer nonsense", "cookie": "staff=nonsense"}):
                answer = await api.ask(method, example, scope=None, headers=headers)
                assert answer.status_code not in {401, 403}, path
                assert answer.status_code < 500 or path == "/readyz", path
                assert "set-cookie" not in answer.headers


async def test_no_key_opens_the_rooms_of_staff(api: Api):
    """Staff come in by their own door; a key of the app backend, even an admin's, is nobody there."""
    for method, path, example in routes_of(api):
        if path.startswith(STAFF) and path not in STAFF_DOOR:
            for scope in (None, "admin"):
                answer = await api.ask(method, example, scope=scope)
                assert answer.status_code in {302, 303, 401, 403, 404}, f"{method} {path}: {answer.status_code}"


async def test_a_revoked_key_and_an_expired_one_are_strangers(api: Api, database: Database, clock: FixedClock):
    at = clock.now()
    async with database.begin() as session:
        short = create_key(session, at, "short", (RIGHTS,), mode="test", expires_at=at.replace(hour=9))
    api.keys["short"] = short[1]
    clock.move(at.replace(second=2))
    assert (await api.ask("GET", "/v1/catalog", scope="short")).status_code == 200
    async with database.begin() as session:
        await revoke_key(session, clock.now(), api.key_ids[RIGHTS])
    clock.move(at.replace(hour=9))
    for scope in ("short", RIGHTS):
        answer = await api.ask("GET", "/v1/catalog", scope=scope)
        assert (answer.status_code, answer.json()["code"]) == (401, "key_unknown")


async def test_what_is_another_familys_answers_like_what_is_absent_i26(api: Api, clock: FixedClock):
    await api.family("a1", "p1")
    await api.family("a2", "p2")
    foreign = await api.ask("POST", "/v1/accounts/a1/activation-links", {"pupils": ["p2"]})
    absent = await api.ask("POST", "/v1/accounts/a1/activation-links", {"pupils": ["p9"]})
    assert (foreign.status_code, _said(foreign.content)) == (422, _said(absent.content))
    foreign = await api.ask("DELETE", "/v1/accounts/a1/pupils/p2")
    absent = await api.ask("DELETE", "/v1/accounts/a1/pupils/p9")
    assert (foreign.status_code, _said(foreign.content)) == (404, _said(absent.content))
    asked = {"channel": "mobile"}
    foreign = await api.told("GET", "/v1/accounts/a1/entitlements/messages", params=asked | {"pupil": "p2"})
    absent = await api.told("GET", "/v1/accounts/a1/entitlements/messages", params=asked | {"pupil": "p9"})
    assert foreign | {"pupil": "p9"} == absent
    exported = await api.told("GET", "/v1/accounts/a1/export")
    assert "p2" not in msgspec.json.encode(exported).decode()


@pytest.mark.parametrize("path", ["/v1/subscriptions/{id}", "/v1/notices/{id}/shown"])
async def test_an_id_that_was_never_given_is_not_there_whatever_it_looks_like(api: Api, path: str):
    method = "POST" if "shown" in path else "GET"
    for key in (
        "x",
        "sub_",
        "ord_01kd0000000000000000000000",
        "sub_01kd0000000000000000000000",
        "ntc_" + "z" * 26,
        "sub_" + "i" * 26,
        "NTC_01kd0000000000000000000000",
        "ntc_01kd0000000000000000000000",
        "%00",
        "..%2F",
        "a" * 5000,
    ):
        answer = await api.ask(method, path.format(id=key))
        assert answer.status_code == 404, key
        assert answer.json()["code"] == "not_found"


def _said(content: bytes) -> dict[str, object]:
    """A problem without the names of this very request."""
    told = msgspec.json.decode(content)
    return {name: value for name, value in told.items() if name not in {"request_id", "instance"}}
