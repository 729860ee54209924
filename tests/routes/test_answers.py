"""What every answer has, and the errors of the house itself: not there, not now, too many, our own fault."""

import asyncio
import contextlib
import re
from datetime import timedelta

import pytest
import redis.asyncio
from litestar import Litestar, get
from sqlalchemy import text

from billing.app import create_app
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import TooMany
from billing.kernel.limits import Limit, Limiter
from billing.kernel.problems import CATALOGUE
from billing.kernel.settings import Settings
from billing.sandbox.valkey import EmbeddedValkey
from billing.wiring import build
from tests.routes.house import ADULT, HOME, NOWHERE, Api, opened, settings_of
from tests.routes.reading import problem


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
    for path in (
        "/v1/accounts/a1",
        "/v1/accounts/a1/pupils",
        "/v1/catalog",
        "/livez",
        "/regulamin",
        "/v1/accounts/nobody",
    ):
        got, head = await api.ask("GET", path), await api.ask("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        passing = {"x-request-id", "ratelimit"}
        assert {k: v for k, v in head.headers.items() if k not in passing} == {
            k: v for k, v in got.headers.items() if k not in passing
        }
    options = await api.ask("OPTIONS", "/v1/accounts/a1")
    assert (options.status_code, options.content, options.headers["allow"]) == (
        204,
        b"",
        "DELETE, GET, HEAD, OPTIONS, PUT",
    )


async def _spend(api: Api, valkey: EmbeddedValkey, *, left: int) -> None:
    """As if the admin's key had asked until so many requests are left."""
    store = redis.asyncio.Redis.from_url(valkey.url())
    seconds, micros = await store.time()
    spent_until = seconds * 1_000_000 + micros + (6000 - left) * 10_000_000 // 6000
    await store.set(f"limit:key:{api.key_ids['admin']}", spent_until, ex=30)
    await store.aclose()


async def test_a_spent_limit_is_429_with_the_seconds_to_wait_and_of_no_other_key(api: Api, valkey: EmbeddedValkey):
    first = await api.ask("GET", "/v1/catalog")
    assert re.fullmatch(r'"key";r=\d+;t=10', first.headers["ratelimit"])
    assert first.headers["ratelimit-policy"] == '"key";q=6000;w=10'
    await _spend(api, valkey, left=-1200)
    spent = await api.ask("GET", "/v1/catalog")
    problem(spent, 429, "rate_limited")
    assert 1 <= int(spent.headers["retry-after"]) <= 3
    assert spent.headers["ratelimit"] == f'"key";r=0;t={spent.headers["retry-after"]}'
    assert (await api.ask("GET", "/v1/catalog", scope="entitlements:read")).status_code == 200


async def test_a_limit_is_exact_over_all_workers_however_many_ask_at_once(valkey: EmbeddedValkey):
    """One script in Valkey counts; nobody gets through by asking another worker at the same moment."""
    limit = Limit("exact", quota=10, window=timedelta(hours=1))
    workers = [Limiter(valkey.url()) for _ in range(4)]

    async def ask(worker: Limiter) -> int | None:
        with contextlib.suppress(TooMany):
            return await worker.take(limit, "somebody")
        return None

    answers = await asyncio.gather(*(ask(worker) for _ in range(8) for worker in workers))
    assert sorted(left for left in answers if left is not None) == list(range(10))
    with pytest.raises(TooMany) as spent:
        await workers[0].take(limit, "somebody")
    assert 350 <= spent.value.retry_after <= 360
    for worker in workers:
        await worker.close()


async def test_without_the_broker_a_limit_lets_everybody_through_f26(api: Api, database_url: str, clock: FixedClock):
    async with opened(settings_of(database_url, "redis://127.0.0.1:9/0"), clock, {}) as alone:
        alone.keys = api.keys
        answer = await alone.ask("GET", "/v1/catalog")
        assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)


async def test_with_the_database_down_it_is_503_and_says_when_to_ask_again(
    api: Api, settings: Settings, clock: FixedClock, valkey: EmbeddedValkey
):
    async with opened(settings_of(NOWHERE, valkey.url()), clock, {}) as down:
        down.keys = api.keys
        for method, path, body in (
            ("GET", "/v1/accounts/a1", None),
            ("PUT", "/v1/accounts/a1", ADULT),
            ("GET", "/v1/accounts/a1/entitlements/messages?channel=mobile&pupil=p1", None),
        ):
            answer = await down.ask(method, path, body)
            assert problem(answer, 503, "store_unavailable") == []
            assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.slow
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


async def test_every_answer_names_its_request_by_the_callers_own_id_if_that_is_sane(api: Api):
    given: list[tuple[str | None, bool]] = [
        ("request-1", True),
        ("a" * 64, True),
        ("A.b_c-d9", True),
        ("short", False),
        ("a" * 65, False),
        ("with blank in it", False),
        ("zażółć-gęślą", False),
        ("<script>alert(1)</script>", False),
        (None, False),
    ]
    for sent, is_kept in given:
        headers = {} if sent is None else {"x-request-id": sent.encode()}
        for path in ("/v1/catalog", "/livez", "/nothing", "/regulamin"):
            answer = await api.ask("GET", path, headers=headers)
            told = answer.headers.get_list("x-request-id")
            assert len(told) == 1
            assert told == [sent] if is_kept else re.fullmatch(r"[0-9a-f]{32}", told[0]), sent


async def test_every_answer_has_the_headers_that_keep_a_browser_safe_s54(api: Api):
    await api.family()
    for method, path in (
        ("GET", "/v1/catalog"),
        ("GET", "/v1/accounts/nobody"),
        ("GET", "/nothing"),
        ("POST", "/livez"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/regulamin"),
        ("GET", "/static/style.css"),
        ("GET", "/activate/wrong"),
        ("OPTIONS", "/v1/catalog"),
        ("HEAD", "/v1/catalog"),
        ("GET", "/schema/openapi.json"),
        ("POST", "/webhooks/stripe"),
        ("PUT", "/v1/accounts/a1"),
        ("DELETE", "/v1/accounts/a1/pupils/p1"),
    ):
        answer = await api.ask(method, path)
        for name in (
            "x-content-type-options",
            "strict-transport-security",
            "referrer-policy",
            "content-security-policy",
            "cross-origin-opener-policy",
        ):
            assert len(answer.headers.get_list(name)) == 1, f"{method} {path}: {name}"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert int(re.findall(r"max-age=(\d+)", answer.headers["strict-transport-security"])[0]) >= 31_536_000
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


async def test_an_answer_to_the_app_backend_is_kept_by_no_cache(api: Api):
    """R38, S54: what is about a person is not left in a cache on the way."""
    await api.family()
    for path in ("/v1/accounts/a1", "/v1/accounts/a1/pupils", "/v1/accounts/a1/export", "/v1/accounts/a1/notices"):
        answer = await api.ask("GET", path)
        assert answer.headers.get("cache-control", "") == "no-store", path


async def test_links_come_from_the_settings_whatever_host_a_request_names_s36(api: Api):
    await api.family()
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example;proto=http"}
    made = await api.told("POST", "/v1/accounts/a1/activation-links", {"pupils": ["p1"]}, headers=evil)
    assert made["url"].startswith(f"{HOME}/activate/")
    shown = await api.ask("GET", made["url"].removeprefix(HOME), scope=None, headers=evil)
    refused = await api.ask("GET", "/v1/accounts/nobody", headers=evil)
    assert (shown.status_code, refused.status_code) == (200, 404)
    assert refused.json()["type"].startswith(f"{HOME}/problems/")
    for answer in (shown, refused):
        assert "evil" not in answer.text + str(dict(answer.headers))
