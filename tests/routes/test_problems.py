"""Every error is one problem document: which status, which code, every fault at once, and what comes with it."""

import asyncio
import re
from typing import Any

import httpx2
import msgspec
import pytest
import redis.asyncio
from litestar import Litestar, get
from sqlalchemy import text

from billing.app import create_app
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.problems import CATALOGUE
from billing.kernel.settings import Settings
from billing.sandbox.valkey import EmbeddedValkey
from billing.wiring import build
from tests.routes.house import ADULT, HOME, NOWHERE, Api, opened, settings_of

FIELDS = ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"]
PUT = ("PUT", "/v1/accounts/a1")


def problem(answer: httpx2.Response, status: int, code: str) -> list[tuple[str, str]]:
    """Checks the whole shape of a problem; answers where its faults are, and which."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert list(told) == FIELDS
    assert (told["status"], told["code"]) == (status, code)
    assert told["type"] == f"{HOME}/problems/{code}"
    assert told["title"] == CATALOGUE[code].title
    assert told["instance"] == answer.request.url.path
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["detail"]
    assert all(list(fault) == ["pointer", "code", "detail"] and fault["detail"] for fault in told["errors"])
    return [(fault["pointer"], fault["code"]) for fault in told["errors"]]


async def test_every_field_at_fault_is_named_at_once_with_its_place(api: Api):
    body = {"emial": "x", "a/b~c": 1, "kind": "robot", "age_band": None, "guardian_email": 7, "email_confirmed": "yes"}
    assert problem(await api.ask(*PUT, body), 400, "malformed_request") == [
        ("/emial", "unknown_field"),
        ("/a~1b~0c", "unknown_field"),
        ("/email", "missing"),
        ("/kind", "invalid"),
        ("/age_band", "invalid"),
        ("/guardian_email", "invalid"),
        ("/email_confirmed", "invalid"),
    ]


async def test_faults_of_path_query_and_body_are_told_together(api: Api):
    answer = await api.ask("PUT", "/v1/accounts/a%20b?foo=1&foo=2&foo[]=3", {"x": 1})
    assert problem(answer, 400, "malformed_request") == [
        ("foo", "unknown_parameter"),
        ("foo[]", "unknown_parameter"),
        ("account", "invalid"),
        ("/x", "unknown_field"),
        ("/email", "missing"),
        ("/kind", "missing"),
        ("/age_band", "missing"),
    ]


async def test_faults_in_lists_are_named_by_their_index(api: Api):
    await api.family()
    path = "/v1/accounts/a1/activation-links"
    answer = await api.ask("POST", path, {"pupils": ["p1", " ", 3, "p\n"]})
    assert [where for where, _ in problem(answer, 400, "malformed_request")] == ["/pupils/1", "/pupils/2", "/pupils/3"]
    assert problem(await api.ask("POST", path, {"pupils": []}), 400, "malformed_request") == [("/pupils", "invalid")]
    many = await api.ask("POST", path, {"pupils": ["p1"] * 51})
    assert problem(many, 400, "malformed_request") == [("/pupils", "invalid")]
    unlinked = await api.ask("POST", path, {"pupils": ["p9", "p1", "p8"]})
    assert problem(unlinked, 422, "not_linked") == [("/pupils/0", "not_linked"), ("/pupils/2", "not_linked")]
    unsold = await api.ask("PUT", "/v1/schools/sp5", {"blocked_features": ["messages", "grades", "?"]})
    assert [where for where, _ in problem(unsold, 422, "invalid_request")] == [
        "/blocked_features/1",
        "/blocked_features/2",
    ]


async def test_an_answer_to_nonsense_stays_small(api: Api):
    answer = await api.ask("PUT", "/v1/schools/sp5", {"blocked_features": [1] * 200_000})
    assert len(problem(answer, 400, "malformed_request")) <= 101
    assert len(answer.content) < 20_000


@pytest.mark.parametrize("account", ["a%0A", "%0Aa1", "a%00b", "a%20", "za%C5%BC", "x" * 65, "%ED%A0%80", "a%2Bb", "*"])
async def test_a_reference_that_is_none_is_refused_wherever_it_stands(api: Api, account: str):
    """S66: what the contract does not allow never reaches the database, which answers 500 to a NUL."""
    for method, path, body in (
        ("GET", f"/v1/accounts/{account}", None),
        ("PUT", f"/v1/accounts/{account}", ADULT),
        ("DELETE", f"/v1/accounts/{account}", None),
        ("GET", f"/v1/accounts/{account}/export", None),
        ("GET", f"/v1/accounts/{account}/pupils", None),
        ("GET", f"/v1/accounts/{account}/notices", None),
        ("GET", f"/v1/accounts/{account}/subscriptions", None),
        ("GET", f"/v1/accounts/{account}/entitlements?channel=mobile", None),
        ("PUT", f"/v1/accounts/a1/pupils/{account}", {}),
        ("DELETE", f"/v1/accounts/a1/pupils/{account}", None),
        ("PUT", f"/v1/schools/{account}", {"blocked_features": []}),
    ):
        answer = await api.ask(method, path, body)
        assert len(problem(answer, 400, "malformed_request")) == 1, path


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", [("limit", "invalid")]),
        ("limit=101", [("limit", "invalid")]),
        ("limit=-1", [("limit", "invalid")]),
        ("limit=ten", [("limit", "invalid")]),
        ("limit=1.5", [("limit", "invalid")]),
        ("limit=", [("limit", "invalid")]),
        ("limit=99999999999999999999", [("limit", "invalid")]),
        ("limit=1&limit=2", [("limit", "repeated")]),
        ("Limit=1", [("Limit", "unknown_parameter")]),
        ("after=p9", [("after", "invalid")]),
        ("after=%00", [("after", "invalid")]),
        ("", []),
    ],
)
@pytest.mark.parametrize("listed", ["pupils", "notices", "subscriptions"])
async def test_a_query_that_cannot_be_meant_is_refused_s67(
    api: Api, listed: str, query: str, named: list[tuple[str, str]]
):
    await api.family()
    answer = await api.ask("GET", f"/v1/accounts/a1/{listed}?{query}")
    if named:
        assert problem(answer, 400, "malformed_request") == named
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "missing"),
        (b"{", "not_json"),
        (b"nothing", "not_json"),
        (b'{"a":1}{"a":1}', "not_json"),
        (b'{"email":NaN}', "not_json"),
        (b'{"email":"\xff"}', "not_utf8"),
        ('{"email":"a"}'.encode("utf-16"), "not_utf8"),
        (b'\xef\xbb\xbf{"email":"a"}', "byte_order_mark"),
        (b'{"email":"a\\u0000b"}', "nul"),
        (b"[" * 100_000, "too_deep"),
        (b'{"email":"a@b.pl","email":"c@d.pl"}', "duplicate_key"),
        (b"null", "invalid"),
        (b"[]", "invalid"),
    ],
)
async def test_a_body_that_is_no_document_is_refused_and_never_half_read_s66_s67(api: Api, body: bytes, fault: str):
    for path, method in (("/v1/accounts/a1", "PUT"), ("/v1/accounts/a1/activation-links", "POST")):
        answer = await api.ask(method, path, body, headers={"content-type": "application/json"})
        code = "malformed_request" if fault in {"missing", "invalid"} else "malformed_body"
        assert problem(answer, 400, code) == [("", fault)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/jsonx"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 201),
        ({"content-type": "application/json"}, 201),
        ({}, 415),
    ],
)
async def test_only_json_in_utf8_is_read_s43(api: Api, headers: dict[str, str], status: int):
    key = {"authorization": f"Bearer {api.keys['admin']}"}
    body = msgspec.json.encode(ADULT)
    answer = await api.client.put("/v1/accounts/a1", content=body, headers=key | headers)
    assert answer.status_code == status
    if status == 415:
        assert problem(answer, 415, "unsupported_media_type") == []


async def test_a_body_that_is_too_long_is_refused_before_it_is_read(api: Api):
    long = b'{"email":"' + b"a" * 1_000_000 + b'"}'
    problem(await api.ask(*PUT, long), 413, "payload_too_large")

    async def in_parts() -> Any:
        for _ in range(1_100):
            yield b" " * 1000

    sent = {"authorization": f"Bearer {api.keys['admin']}", "content-type": "application/json"}
    problem(await api.client.put("/v1/accounts/a1", content=in_parts(), headers=sent), 413, "payload_too_large")


async def test_what_is_not_there_is_a_problem_too_and_405_says_what_is_allowed(api: Api):
    for path in ("/v1/nothing", "/v1/accounts", "/nothing", "/v1/accounts/a/b/c/d", "/v1/accounts/a%2Fb"):
        problem(await api.ask("GET", path), 404, "not_found")
    for method in ("PATCH", "POST", "TRACE", "PROPFIND"):
        answer = await api.ask(method, "/v1/accounts/a1")
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert (await api.ask("PUT", "/livez", scope=None)).headers["allow"] == "GET, HEAD, OPTIONS"


async def test_head_is_answered_as_get_is_and_options_tells_the_methods(api: Api):
    await api.family()
    for path in ("/v1/accounts/a1", "/v1/accounts/a1/pupils", "/v1/catalog", "/livez", "/regulamin", "/v1/accounts/nobody"):
        got, head = await api.ask("GET", path), await api.ask("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        passing = {"x-request-id", "ratelimit"}
        assert {k: v for k, v in head.headers.items() if k not in passing} == {
            k: v for k, v in got.headers.items() if k not in passing
        }
    options = await api.ask("OPTIONS", "/v1/accounts/a1")
    assert (options.status_code, options.content, options.headers["allow"]) == (204, b"", "DELETE, GET, HEAD, OPTIONS, PUT")


async def test_a_spent_limit_is_429_with_the_seconds_to_wait_and_of_no_other_key(
    api: Api, valkey: EmbeddedValkey, clock: FixedClock
):
    first = await api.ask("GET", "/v1/catalog")
    assert re.fullmatch(r'"key";r=\d+;t=10', first.headers["ratelimit"])
    assert first.headers["ratelimit-policy"] == '"key";q=6000;w=10'
    store = redis.asyncio.Redis.from_url(valkey.url())
    seconds, micros = await store.time()
    await store.set(f"limit:key:{api.key_ids['admin']}", (seconds + 13) * 1_000_000 + micros, ex=30)
    await store.aclose()
    spent = await api.ask("GET", "/v1/catalog")
    problem(spent, 429, "rate_limited")
    assert 1 <= int(spent.headers["retry-after"]) <= 4
    assert spent.headers["ratelimit"] == f'"key";r=0;t={spent.headers["retry-after"]}'
    assert (await api.ask("GET", "/v1/catalog", scope="entitlements:read")).status_code == 200


@pytest.mark.slow
async def test_a_limit_is_exact_however_many_ask_at_once(api: Api):
    """F26: one script in Valkey counts; nobody gets through by asking at the same moment."""
    answers: list[int] = []

    async def ask() -> None:
        for _ in range(200):
            answers.append((await api.ask("GET", "/v1/catalog", headers={"x-request-id": "limit-test"})).status_code)

    before = asyncio.get_running_loop().time()
    await asyncio.gather(*(ask() for _ in range(35)))
    took = asyncio.get_running_loop().time() - before
    refilled = took * 600
    assert set(answers) <= {200, 429}
    assert min(6000, len(answers)) - 1 <= answers.count(200) <= 6000 + refilled + 1


async def test_with_the_database_down_it_is_503_and_says_when_to_ask_again(
    api: Api, settings: Settings, clock: FixedClock, valkey: EmbeddedValkey
):
    async with opened(settings_of(NOWHERE, valkey.url()), clock, {}) as down:
        down.keys = api.keys
        for method, path, body in (("GET", "/v1/accounts/a1", None), ("PUT", "/v1/accounts/a1", ADULT),
                                   ("GET", "/v1/accounts/a1/entitlements/messages?channel=mobile&pupil=p1", None)):  # fmt: skip
            answer = await down.ask(method, path, body)
            assert problem(answer, 503, "store_unavailable") == []
            assert int(answer.headers["retry-after"]) >= 1


async def test_a_lock_that_is_not_given_in_time_is_503_not_500(api: Api, database: Database):
    await api.family()
    async with database.engine.connect() as other:
        await other.execute(text("LOCK TABLE account IN ACCESS EXCLUSIVE MODE"))
        answer = await api.ask("GET", "/v1/accounts/a1")
        problem(answer, 503, "store_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert (await api.ask("GET", "/v1/accounts/a1")).status_code == 200


async def test_a_defect_of_ours_is_500_and_shows_nothing_of_the_inside(settings: Settings, clock: FixedClock):
    @get("/v1/broken", sync_to_thread=False)
    def broken() -> None:
        raise RuntimeError("postgresql://user:password@inside/secret")

    services = build(settings, clock=clock)
    app: Litestar = create_app(services, [broken])
    async with Api(app, services, {}).client as client:
        answer = await client.get("/v1/broken")
    problem(answer, 500, "internal_error")
    assert not re.search(r"password|RuntimeError|Traceback|File ", answer.text)
    await services.close()


async def test_titles_never_vary_and_every_type_opens_a_page_that_says_what_to_do(api: Api):
    for code, advice in CATALOGUE.items():
        shown = await api.ask("GET", f"/problems/{code}", scope=None)
        assert shown.status_code == 200
        assert shown.headers["content-type"] == "text/html; charset=utf-8"
        assert code in shown.text
        assert advice.what_to_do.split("`")[0].split("'")[0].strip() in shown.text
    assert len({advice.title for advice in CATALOGUE.values()}) == len(CATALOGUE)
    assert (await api.ask("GET", "/problems/nonsense", scope=None)).status_code == 404


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        ("request-1", True),
        ("a" * 64, True),
        ("A.b_c-d9", True),
        ("short", False),
        ("a" * 65, False),
        ("with blank in it", False),
        ("zażółć-gęślą", False),
        ("<script>alert(1)</script>", False),
        (None, False),
    ],
)
async def test_every_answer_names_its_request_by_the_callers_own_id_if_that_is_sane(
    api: Api, sent: str | None, is_kept: bool
):
    headers = {} if sent is None else {"x-request-id": sent.encode()}
    for path in ("/v1/catalog", "/livez", "/nothing", "/regulamin"):
        answer = await api.ask("GET", path, headers=headers)
        told = answer.headers.get_list("x-request-id")
        assert len(told) == 1
        assert told == [sent] if is_kept else re.fullmatch(r"[0-9a-f]{32}", told[0])


async def test_every_answer_has_the_headers_that_keep_a_browser_safe_s54(api: Api):
    await api.family()
    for method, path in (
        ("GET", "/v1/catalog"), ("GET", "/v1/accounts/nobody"), ("GET", "/nothing"), ("POST", "/livez"), ("GET", "/livez"),
        ("GET", "/readyz"), ("GET", "/regulamin"), ("GET", "/static/style.css"), ("GET", "/activate/wrong"),
        ("OPTIONS", "/v1/catalog"), ("HEAD", "/v1/catalog"), ("GET", "/schema/openapi.json"), ("POST", "/webhooks/stripe"),
        ("PUT", "/v1/accounts/a1"), ("DELETE", "/v1/accounts/a1/pupils/p1"),
    ):  # fmt: skip
        answer = await api.ask(method, path)
        for name in ("x-content-type-options", "strict-transport-security", "referrer-policy",
                     "content-security-policy", "cross-origin-opener-policy"):  # fmt: skip
            assert len(answer.headers.get_list(name)) == 1, f"{method} {path}: {name}"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert int(re.findall(r"max-age=(\d+)", answer.headers["strict-transport-security"])[0]) >= 31_536_000
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


async def test_a_rule_that_refuses_is_422_and_names_the_fields(api: Api):
    child = ADULT | {"age_band": "under_13", "kind": "pupil"}
    faults = problem(await api.ask(*PUT, child), 422, "guardian_email_required")
    assert faults == [("/guardian_email", "guardian_email_required")]
    bad = child | {"email": "not an address", "guardian_email": "also@not an address"}
    faults = problem(await api.ask(*PUT, bad), 422, "invalid_request")
    assert faults == [("/email", "not_an_address"), ("/guardian_email", "not_an_address")]
    assert problem(await api.ask("GET", "/v1/accounts/a1"), 404, "unknown_account") == []


async def test_an_answer_to_the_app_backend_is_kept_by_no_cache(api: Api):
    """R38, S54: what is about a person is not left in a cache on the way."""
    await api.family()
    for path in ("/v1/accounts/a1", "/v1/accounts/a1/pupils", "/v1/accounts/a1/export", "/v1/accounts/a1/notices"):
        answer = await api.ask("GET", path)
        assert answer.headers.get("cache-control", "") == "no-store", path
