"""For those who run it: alive, ready, counted."""

import re

from sqlalchemy import text

from billing.kernel.clock import FixedClock, SystemClock
from billing.kernel.db import Database
from billing.sandbox.valkey import EmbeddedValkey
from tests.routes.house import NOWHERE, Api, opened, settings_of


async def test_it_lives_whatever_is_down_and_asks_nothing_of_anybody(clock: FixedClock):
    async with opened(settings_of(NOWHERE, "redis://127.0.0.1:9/0"), clock, {}) as alone:
        answer = await alone.ask("GET", "/livez", scope=None)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert alone.services.database.engine.pool.status().endswith("Current Checked out connections: 0")


async def test_it_is_ready_when_database_schema_and_clock_are_right(
    database_url: str, valkey: EmbeddedValkey, database: Database
):
    async with opened(settings_of(database_url, valkey.url()), SystemClock(), {}) as api:
        answer = await api.ask("GET", "/readyz", scope=None)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        checks = {"broker": "ok", "database": "ok", "migrations": "ok", "clock": "ok"}
        told = {"status": "ready", "checks": checks, "oldest_due": {}, "waiting": {}, "reconciled": None}
        assert answer.json() == told
        async with database.begin() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        behind = await api.ask("GET", "/readyz", scope=None)
        assert (behind.status_code, behind.json()["checks"]["migrations"]) == (503, "behind")


async def test_without_a_database_it_is_not_ready_and_without_a_broker_it_is_only_told(
    database_url: str, clock: FixedClock
):
    async with opened(settings_of(NOWHERE, "redis://127.0.0.1:9/0"), clock, {}) as alone:
        answer = await alone.ask("GET", "/readyz", scope=None)
        assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
        assert "nobody" not in answer.text
    async with opened(settings_of(database_url, "redis://127.0.0.1:9/0"), SystemClock(), {}) as deaf:
        answer = await deaf.ask("GET", "/readyz", scope=None)
        assert (answer.status_code, answer.json()["checks"]["broker"]) == (200, "ConnectionError")


async def test_a_clock_apart_from_the_databases_is_not_ready_f49(api: Api):
    answer = await api.ask("GET", "/readyz", scope=None)
    assert (answer.status_code, answer.json()["checks"]["clock"]) == (503, "skewed")


async def test_work_that_is_overdue_is_told_by_its_age(api: Api, clock: FixedClock):
    await api.family("a1", "p1", email_confirmed=False)
    clock.move(clock.now().replace(hour=9))
    oldest = (await api.ask("GET", "/readyz", scope=None)).json()["oldest_due"]
    assert oldest
    assert all(0 < age <= 3600 for age in oldest.values())


async def test_metrics_are_hidden_unless_the_settings_show_them_s87(api: Api):
    for scope in (None, "admin"):
        answer = await api.ask("GET", "/metrics", scope=scope)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_is_counted_names_no_path_no_person_and_no_made_up_method_i28(
    database_url: str, valkey: EmbeddedValkey, clock: FixedClock, api: Api
):
    settings = settings_of(database_url, valkey.url(), METRICS_PUBLIC="true")
    async with opened(settings, clock, {}) as shown:
        shown.keys = api.keys
        before = (await shown.ask("GET", "/metrics", scope=None)).text  # this process has counted for other tests
        await shown.family("canary-account", "canary-pupil", email="canary@example.pl")
        for method, path in (
            ("GET", "/v1/accounts/canary-account"),
            ("GET", "/canary/nothing"),
            ("CANARY", "/livez"),
            ("GET", "/activate/canary-token"),
            ("HEAD", "/livez"),
            ("GET", "/v1/accounts/canary%00"),
        ):
            await shown.ask(method, path, headers={"x-request-id": "canary-request"})
        answer = await shown.ask("GET", "/metrics", scope=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "canary" not in answer.text.lower()
    told = re.findall(r"^billing_http_requests_total\{(.*)\} \S+$", answer.text, re.MULTILINE)
    told = {re.sub(r'process="web-[^"]+",', "", labels) for labels in told}
    assert 'method="other",route="-",status="405"' in told
    assert 'method="GET",route="/v1/accounts/{account}",status="200"' in told
    routes = {route.path_format for route in shown.app.routes} | {"-"}
    told_of, told_before = (set(re.findall(r'route="([^"]*)"', page)) for page in (answer.text, before))
    assert told_of - told_before <= routes
