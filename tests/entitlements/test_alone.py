"""The desk as a process of its own: the product's answers, byte for byte, and nothing of the product in it."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest
from litestar import Litestar

from billing.app import create_app as whole_product
from billing.catalog.rules import feature_list
from billing.catalog.service import SAMPLE, load
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.settings import BadSettings, Settings, Standing, load_as
from billing.wiring import build
from entitlements.app import create_app as desk_alone
from entitlements.listed import read_features
from tests.entitlements.doors import GRANTS, new_key, settle_town
from tests.routes.house import NOWHERE, settings_of

ROOT = Path(__file__).parents[2]
SIGNING = msgspec.json.encode({"keys": [new_key("1")]}).decode()
NO_BROKER = "amqp://127.0.0.1:9"
ACCOUNT = "/v1/accounts/{account:str}/entitlements"
OWN = {"/livez", "/readyz", "/metrics"}
BATCH = {"channel": "mobile", "checks": [{"account": "small", "feature": "messages"},
                                         {"account": "big", "feature": "homework", "pupil": "paid"},
                                         {"account": "big", "feature": "messages"},
                                         {"account": "nobody", "feature": "messages"},
                                         {"account": "small", "feature": "wings"}, {"account": 7}]}  # fmt: skip


def _questions() -> dict[str, list[tuple[str, str, Any]]]:
    """What is asked, by the route that answers it."""
    queries = ["channel=mobile&pupil=" + pupil for pupil in GRANTS]
    queries += ["channel=web", "channel=mobile", "", "channel=fax&pupil=!", "channel=mobile&channel=web&x=1",
                "channel=mobile&pupil=paid&at=2027-01-01T00:00:00Z", "channel=mobile&pupil=paid&consistency=strong",
                "channel=mobile&pupil=p%C5%82"]  # fmt: skip
    features = ["messages", "grades", "wings"]
    one = [f"/v1/accounts/big/entitlements/{feature}?{query}" for feature in features for query in queries]
    all_ = [f"/v1/accounts/{who}/entitlements?{query}" for who in ("big", "small", "nobody") for query in queries]
    context = {"targetingKey": "big", "channel": "mobile", "pupil": "paid"}
    flags = [{"context": context}, {"context": {"targetingKey": "nobody", "channel": "mobile"}}, {"context": {}}, []]
    bodies = [BATCH, BATCH | {"answer": "compact"}, BATCH | {"channel": "web"}, BATCH | {"more": 1}, {"channel": 1}]
    return {
        ACCOUNT + "/{feature:str}": [(method, path, None) for path in one for method in ("GET", "HEAD")],
        ACCOUNT: [("GET", path, None) for path in all_],
        ACCOUNT + ".jwt": [("GET", "/v1/accounts/small/entitlements.jwt?channel=mobile", None)],
        "/v1/entitlements/check": [("POST", "/v1/entitlements/check", body) for body in bodies],
        "/ofrep/v1/evaluate/flags/{feature:str}": [("POST", "/ofrep/v1/evaluate/flags/messages", b) for b in flags],
        "/ofrep/v1/evaluate/flags": [("POST", "/ofrep/v1/evaluate/flags", body) for body in flags],
        "/.well-known/jwks.json": [("GET", "/.well-known/jwks.json", None)],
        "/v1/changes": [("GET", f"/v1/changes?{query}", None) for query in ("", "after=0&limit=3", "limit=none")],
    }


class Both:
    """The product and the desk alone, in front of the same database, at the same instant."""

    def __init__(self, product: httpx2.AsyncClient, alone: httpx2.AsyncClient, key: str) -> None:
        self._clients = (product, alone)
        self._key = key

    async def told(self, method: str, path: str, body: Any, **headers: str) -> list[tuple[Any, ...]]:
        """What each answers: status, headers but those of the body's length, and the body."""
        sent = {"authorization": f"Bearer {self._key}", "x-request-id": "request-1", **headers}
        return [_seen(await client.request(method, path, json=body, headers=sent)) for client in self._clients]


def _seen(answer: httpx2.Response) -> tuple[Any, ...]:
    # Two signatures of the same words differ by nature: of a token, what it says is compared.
    is_token = answer.status_code == 200 and str(answer.url.path).endswith(".jwt")
    body = answer.content.split(b".")[:2] if is_token else answer.content
    return answer.status_code, sorted(answer.headers.multi_items()), body


@asynccontextmanager
async def _opened(app: Litestar) -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(cast("Any", app))
    async with app.lifespan(), httpx2.AsyncClient(transport=transport, base_url="https://billing.test") as client:
        yield client


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_of(database_url, NO_BROKER, SIGNING_KEYS=SIGNING, METRICS_PUBLIC="true")


@pytest.fixture
async def both(settings: Settings, database: Database, clock: FixedClock, key: str) -> AsyncIterator[Both]:
    await settle_town(database, clock.now())
    services = build(settings, clock=clock)
    async with _opened(whole_product(services)) as product, _opened(desk_alone(settings, clock)) as alone:
        yield Both(product, alone, key)


async def test_alone_it_answers_what_the_product_answers_byte_for_byte(both: Both) -> None:
    """Status, headers and bytes of every question, good and bad, at every way in."""
    asked = [question for questions in _questions().values() for question in questions]
    answered: set[int] = set()
    for method, path, body in asked:
        product, alone = await both.told(method, path, body)
        assert alone == product, path
        answered.add(product[0])
    assert {200, 400, 404} <= answered


async def test_alone_it_lets_in_whom_the_product_lets_in_and_knows_who_has_the_answer(both: Both) -> None:
    path = "/v1/accounts/small/entitlements/messages?channel=mobile"
    for told in (
        await both.told("GET", path, None, authorization="Bearer edk_test_x_y"),
        await both.told("PUT", path, {}),
    ):
        assert told[0] == told[1]
    product, alone = await both.told("GET", path, None)
    tag = dict(product[1])["etag"]
    again = await both.told("GET", path, None, **{"if-none-match": tag})
    assert alone == product
    assert [each[0] for each in again] == [304, 304]


def test_every_way_in_of_the_desk_is_asked(settings: Settings, clock: FixedClock) -> None:
    routes = {str(route.path_format) for route in desk_alone(settings, clock).routes if hasattr(route, "path_format")}
    assert {route.replace(":str", "") for route in _questions()} | OWN >= routes


async def test_it_is_ready_while_rights_can_be_looked_up(settings: Settings, clock: FixedClock) -> None:
    now = desk_alone(load_as(Standing, _environment(settings.database_url.value)))
    async with _opened(now) as client:
        ready, live = await client.get("/readyz"), await client.get("/livez")
        counted = await client.get("/metrics")
    assert (ready.status_code, ready.json()) == (
        200, {"status": "ready", "checks": {"broker": "not_checked", "rights": "ok", "clock": "ok"}},
    )  # fmt: skip
    assert (live.status_code, counted.status_code) == (200, 404)
    async with _opened(desk_alone(settings, clock)) as client:
        at_another_time = await client.get("/readyz")
        assert "billing_http_requests" in (await client.get("/metrics")).text
    assert (at_another_time.status_code, at_another_time.json()["checks"]["clock"]) == (503, "skewed")


async def test_it_is_not_ready_without_a_store_but_answers_what_needs_none(database: Database, key: str) -> None:
    gone = desk_alone(load_as(Standing, _environment(NOWHERE)))
    async with _opened(gone) as client:
        told = await client.get("/readyz")
        live = await client.get("/livez")
    assert (told.status_code, told.json()["checks"]["rights"]) == (503, "Unavailable")
    assert live.status_code == 200


def test_nothing_of_the_product_is_loaded_into_its_process() -> None:
    """No room of billing, no provider, no broker's library, no pages: so nothing of them can break or leak here."""
    told = _process(
        "import sys, granian, entitlements.__main__, entitlements.app; entitlements.app.create(); print(*sys.modules)",
        _environment(NOWHERE),
    )
    loaded = set(told.stdout.split())
    assert told.returncode == 0, told.stderr
    rooms = {name for name in loaded if name.startswith("billing.") and name.split(".")[1] != "kernel"}
    assert rooms == set()
    assert loaded & {"stripe", "celery", "kombu", "jinja2", "babel", "alembic", "webhooks", "authlib"} == set()


def test_it_needs_no_secret_but_its_own_and_names_every_fault() -> None:
    """Exit 78, as the whole tool does; a Stripe key is neither needed nor read."""
    wrong = _environment("mysql://localhost") | {"BILLING_POOL_SIZE": "many", "BILLING_STRIPE_API_KEY": "whatever"}
    told = subprocess.run(
        [sys.executable, "-m", "billing", "serve", "--only", "entitlements", "--port", "1"],
        cwd=ROOT, env=_bare() | wrong, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 78, told.stderr
    assert [line.split(" ")[0].rstrip(":") for line in told.stderr.splitlines()] == [
        "BILLING_POOL_SIZE", "BILLING_DATABASE_URL",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "cut", ["", '[[features]]\nkey = "wings"\nkind = "add_on"\nnames = {pl = "S", uk = "S", en = "S"}\n']
)
def test_its_features_are_the_catalogues(tmp_path: Path, cut: str) -> None:
    """R8: the list has one home, the catalogue's file; both readers take it from there."""
    file = tmp_path / "catalog.toml"
    file.write_text(SAMPLE.read_text(encoding="utf-8") + "\n" + cut, encoding="utf-8")
    assert read_features(str(file)) == feature_list(load(file))
    assert read_features("") == feature_list(load())


@pytest.mark.parametrize(
    "text",
    ["features = 1", "=", '[[features]]\nkey = "a b"\nkind = "basic"', '[[features]]\nkey = "a"\nkind = "gold"',
     '[[features]]\nkey = "a"\nkind = "basic"\n[[features]]\nkey = "a"\nkind = "add_on"'],
)  # fmt: skip
def test_a_list_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match=r"catalog\.toml"):
        read_features(str(file))
    with pytest.raises(BadSettings, match="cannot be read"):
        read_features(str(tmp_path / "none.toml"))


def _environment(database_url: str) -> dict[str, str]:
    return {
        "BILLING_DATABASE_URL": database_url,
        "BILLING_BROKER_URL": NO_BROKER,
        "BILLING_PUBLIC_URL": "https://billing.test",
        "BILLING_SIGNING_KEYS": SIGNING,
    }


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}


def _process(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=_bare() | environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
