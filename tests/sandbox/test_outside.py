"""The outside process: the clock's controls, what it tells of itself, and the way through the product's web process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx2
import pytest
from litestar import Litestar

from billing.sandbox.keeping import kept_port
from billing.sandbox.proxy import SandboxProxy, outside_mount
from billing.sandbox.serving import serve_http
from tests.sandbox.conftest import Outside


@pytest.fixture(scope="module")
def through(outside: Outside) -> Iterator[httpx2.Client]:
    """A client that comes through the proxy, as browsers do."""
    port = kept_port(outside.home.folder / "proxy")
    loop = asyncio.new_event_loop()
    over: asyncio.Future[None] = loop.create_future()
    proxy = SandboxProxy(outside.base)
    product = Litestar([outside_mount(proxy)], openapi_config=None, request_max_body_size=1_000_000)

    async def run() -> None:
        await serve_http(product, port, over, signals=False)
        await proxy.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            threading.Event().wait(0.05)
        yield client
    loop.call_soon_threadsafe(over.set_result, None)
    thread.join(20)
    loop.close()


def test_info_tells_what_a_stranger_needs(outside: Outside) -> None:
    told = outside.client.get("/sandbox/info").json()
    assert set(told) == {"api_key", "now", "stripe_base", "webhook_secret", "mailbox", "finance", "staff"}
    assert {one["role"] for one in told["staff"]} == {"viewer", "finance", "finance_lead", "auditor", "admin"}
    assert told["stripe_base"] == f"{outside.base}/sandbox/stripe"
    assert told["api_key"] is None
    (outside.home.folder / "api-key").write_text("edk_test_x\n")
    assert outside.client.get("/sandbox/info").json()["api_key"] == "edk_test_x"


def test_the_clock_is_moved_and_never_back(outside: Outside) -> None:
    moved = outside.client.post("/sandbox/clock", json={"to": "2030-01-01T00:00:00+01:00"})
    assert (moved.status_code, moved.json()["now"]) == (200, "2029-12-31T23:00:00Z")
    assert outside.client.get("/sandbox/clock").json() == {"now": "2029-12-31T23:00:00Z"}
    back = outside.client.post("/sandbox/clock", json={"to": "2029-01-01T00:00:00Z"})
    assert (back.status_code, back.json()["code"]) == (409, "conflict")
    assert back.headers["content-type"] == "application/problem+json"
    assert outside.client.post("/sandbox/clock", json={"advance": "P1Y"}).json()["now"] == "2030-12-31T23:00:00Z"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b"{}", {""}),
        (b'{"advance":"P1D","to":"2031-01-01T00:00:00Z"}', {"/to"}),
        (b'{"advance":"soon"}', {"/advance"}),
        (b'{"advance":1,"by":2,"how":3}', {"/advance", "/by", "/how"}),
        (b"[]", {""}),
        (b"\xff", set[str]()),
        (b"{", set[str]()),
        (b'{"advance":"P1D","advance":"P2D"}', set[str]()),
        (b"[" * 5000, set[str]()),
    ],
)
def test_what_is_no_move_is_a_problem_that_names_every_fault(outside: Outside, body: bytes, pointers: set[str]) -> None:
    answer = outside.client.post("/sandbox/clock", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointers <= {one["pointer"] for one in answer.json()["errors"]}


def test_the_first_page_leads_on_and_its_buttons_let_time_pass(outside: Outside) -> None:
    shown = outside.client.get("/sandbox", headers={"Accept": "text/html"}, follow_redirects=True)
    assert shown.status_code == 200
    assert all(f'href="{there}"' in shown.text for there in ("/sandbox/mailbox", "/finance/", "/sandbox/info"))
    before = datetime.fromisoformat(outside.client.get("/sandbox/clock").json()["now"])
    pressed = outside.client.post("/sandbox/wait", data={"advance": "P1D"})
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/sandbox")
    after = datetime.fromisoformat(outside.client.get("/sandbox/clock").json()["now"])
    assert timedelta(days=1) <= after - before < timedelta(days=1, minutes=1)
    assert outside.client.post("/sandbox/wait", data={"advance": "a while"}).status_code == 400


def test_draining_says_what_ran(outside: Outside) -> None:
    assert outside.client.post("/sandbox/drain").json()["ran"] == {"notices": 2}
    assert outside.client.post("/sandbox/drain", json={"x": 1}).status_code == 400


def test_the_proxy_changes_nothing_on_the_way(through: httpx2.Client, outside: Outside) -> None:
    answer = through.post("/sandbox/stripe/v1/a%20b?q=%C5%82&q=2", content=b"x" * 3_000_000)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/elsewhere"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.text.startswith("POST /v1/a b q=%C5%82&q=2 /sandbox/stripe\nxxx")
    assert through.get("/sandbox/openid/jwks.json").json() == outside.client.get("/sandbox/openid/jwks.json").json()
    assert through.post("/sandbox/clock", json={"nope": 1}).status_code == 400
    assert through.get("/sandbox/nowhere").status_code == 404


def test_a_caller_sees_an_upstream_that_breaks_off(through: httpx2.Client) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        through.get("/sandbox/stripe/v1/cut")


async def test_an_upstream_that_is_not_there_is_a_502() -> None:
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    proxy = SandboxProxy("http://127.0.0.1:9")
    scope = {"type": "http", "method": "GET", "path": "/sandbox/clock", "headers": [], "query_string": b""}
    await proxy(scope, None, send)
    await proxy.close()
    assert sent[0]["status"] == 502
