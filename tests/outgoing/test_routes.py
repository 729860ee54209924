"""Webhook endpoints over HTTP, and the whole way from what an app backend writes to what its receiver is told."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.sandbox.valkey import EmbeddedValkey
from billing.trials import service as trials
from billing.trials import untold
from tests.outgoing.receiver import Receiver
from tests.outgoing.yard import Yard
from tests.routes.house import Api, make_keys, opened, settings_of
from webhooks.outgoing_rules import EVENTS
from webhooks.outgoing_service import MOST_ENDPOINTS

HOME = "/v1/webhook-endpoints"
EVERY = list(EVENTS)
SENT = ("outbox.relay", "entitlements.number", "outgoing.tell", "outgoing.send")


@pytest.fixture
async def api(
    database_url: str, valkey: EmbeddedValkey, database: Database, clock: FixedClock, yard: Yard
) -> AsyncIterator[Api]:
    """The application as a sandbox runs it: receivers may stand on this machine."""
    await yard.say("truncate trial, account, entitlement_account cascade")
    settings = settings_of(database_url, valkey.url(), SANDBOX_OUTSIDE="http://127.0.0.1:9")
    async with opened(settings, clock, await make_keys(database, clock)) as made:
        yield made


async def make(api: Api, url: str, *events: str, **more: Any) -> dict[str, Any]:
    return await api.told("POST", HOME, {"url": url, "events": list(events) or EVERY}, **more)


async def send(api: Api) -> None:
    """All that leads from a commit to a receiver."""
    for name in SENT:
        (work,) = (work for work in api.services.works if work.name == name)
        while await work.run(api.services.clock.now()):
            pass


async def test_an_endpoint_is_answered_whole_and_its_secret_told_once(api: Api, receiver: Receiver) -> None:
    made = await make(api, receiver.url, "order.paid", "order.failed", "order.paid")
    assert made == {
        "object": "webhook_endpoint",
        "id": made["id"],
        "url": receiver.url,
        "events": ["order.paid", "order.failed"],
        "state": "enabled",
        "disabled_reason": None,
        "failing_since": None,
        "secret": made["secret"],
        "old_secret_until": None,
        "created_at": "2026-09-01T08:00:00Z",
    }
    assert made["id"].startswith("whk_")
    assert made["secret"].startswith("whsec_")
    without = made | {"secret": None}
    assert await api.told("GET", HOME) == {"object": "list", "data": [without], "has_more": False, "next": None}
    assert await api.told("GET", f"{HOME}/{made['id']}") == without
    rotated = await api.told("POST", f"{HOME}/{made['id']}/rotate-secret")
    assert rotated["secret"] not in {made["secret"], None}
    assert rotated == without | {"secret": rotated["secret"], "old_secret_until": "2026-09-02T08:00:00Z"}
    assert (await api.ask("DELETE", f"{HOME}/{made['id']}")).status_code == 204
    assert (await api.told("GET", HOME))["data"] == []
    assert (await api.ask("DELETE", f"{HOME}/{made['id']}")).json()["code"] == "not_found"


async def test_the_same_request_twice_makes_one_endpoint_with_one_secret(api: Api, receiver: Receiver) -> None:
    headers = {"idempotency-key": "hook-1"}
    first, again = [await make(api, receiver.url, headers=headers) for _ in range(2)]
    assert first == again
    assert len((await api.told("GET", HOME))["data"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        ({"url": "http://10.0.0.1/", "events": ["order.paid"]}, 422, ["/url"]),
        ({"url": "https://user:x@hooks.dziennik.pl/", "events": ["order.paid"]}, 422, ["/url"]),
        ({"url": "https://hooks.dziennik.pl/", "events": []}, 400, ["/events"]),
        ({"url": "https://hooks.dziennik.pl/", "events": ["order.paid", "x"]}, 400, ["/events/1"]),
        ({"url": 7, "events": ["x"], "secret": "mine"}, 400, ["/events/0", "/secret", "/url"]),
    ],
)
async def test_what_cannot_be_an_endpoint_is_refused_by_name_s13(
    api: Api, body: Any, status: int, pointers: list[str]
) -> None:
    answer = await api.ask("POST", HOME, body)
    assert answer.status_code == status, answer.text
    assert sorted(fault["pointer"] for fault in answer.json()["errors"]) == pointers
    assert (await api.told("GET", HOME))["data"] == []


async def test_there_are_twenty_endpoints_at_most(api: Api) -> None:
    for _ in range(MOST_ENDPOINTS):
        await make(api, "https://hooks.dziennik.pl/", "order.paid")
    answer = await api.ask("POST", HOME, {"url": "https://hooks.dziennik.pl/", "events": ["order.paid"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_what_a_backend_writes_is_told_to_its_receiver(api: Api, receiver: Receiver, database: Database) -> None:
    """The change feed and the deliveries tell the same."""
    made = await make(api, receiver.url)
    await api.family("a1", "p1", "p2")
    await send(api)
    told = [Webhook(made["secret"]).verify(got.body, got.headers) for got in receiver.got]
    kinds = [each["type"] for each in told]
    assert kinds.count("trial.started") == 2
    changes = (await api.told("GET", "/v1/changes"))["data"]
    assert len(changes) >= 2
    data = sorted((each["data"] for each in told if each["type"] == "entitlements.changed"), key=lambda one: one["seq"])
    assert data == changes
    assert "anna@example.pl" not in b"".join(receiver.bodies).decode()
    link = await api.told("PUT", "/v1/accounts/a1/pupils/p1", {"school": "sp5"})
    async with database.begin() as session:
        (waiting,) = await untold.of(session, ("p1",), date.fromisoformat(link["trial"]["reverts_on"]))
        await trials.bind(session, waiting, api.services.clock.now())
    receiver.got.clear()
    await api.told("PUT", "/v1/accounts/a2", {"email": "b@example.pl", "kind": "guardian", "age_band": "adult"})
    await api.ask("DELETE", "/v1/accounts/a2")
    await send(api)
    events = {each["type"]: each["data"] for each in map(msgspec.json.decode, receiver.bodies)}
    ending = {"trial": link["trial"]["id"], "pupil": "p1", "reverts_on": link["trial"]["reverts_on"]}
    assert events["trial.ending"] == ending
    assert events["account.erased"] == {"account": "a2"}


async def test_deliveries_are_listed_newest_first_page_by_page_and_sent_again(
    api: Api, receiver: Receiver, yard: Yard, clock: FixedClock
) -> None:
    made = await make(api, receiver.url, "trial.started")
    place = f"{HOME}/{made['id']}/deliveries"
    for _ in range(5):
        clock.move(clock.now() + timedelta(seconds=1))
        await yard.happens("trial.started")
    receiver.answer = b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"
    await send(api)
    whole = (await api.told("GET", place))["data"]
    assert [each["created_at"] for each in whole] == [f"2026-09-01T08:00:0{n}Z" for n in (5, 4, 3, 2, 1)]
    assert sorted(each["id"] for each in whole) == sorted(receiver.ids)
    assert {name: value for name, value in whole[0].items() if name not in {"id", "created_at", "next_try_at"}} == {
        "object": "webhook_delivery",
        "endpoint": made["id"],
        "type": "trial.started",
        "state": "pending",
        "tries": 1,
        "last_try_at": "2026-09-01T08:00:05Z",
        "last_status": 404,
        "last_fault": "status_404",
        "delivered_at": None,
    }
    page = await api.told("GET", f"{place}?limit=3")
    rest = await api.told("GET", f"{place}?limit=3&after={page['next']}")
    assert (page["data"] + rest["data"], page["has_more"], rest["has_more"], rest["next"]) == (whole, True, False, None)
    for after in ("x", "evt_1", "whk_" + "0" * 26):
        answer = await api.ask("GET", f"{place}?after={after}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "after")
    receiver.answer = b"HTTP/1.1 200 Yes\r\ncontent-length: 0\r\n\r\n"
    again = await api.told("POST", f"{place}/{whole[0]['id']}/retry")
    assert (again["state"], again["next_try_at"]) == ("pending", "2026-09-01T08:00:05Z")
    await send(api)
    assert (await api.told("GET", place))["data"][0]["state"] == "delivered"
    await yard.say("update webhook_delivery set state = 'failed' where state = 'pending'")
    told = await api.told("POST", f"{HOME}/{made['id']}/replay", {"since": "2026-09-01T08:00:02Z"})
    assert told == {"object": "webhook_replay", "endpoint": made["id"], "replayed": 3}
    answer = await api.ask("POST", f"{HOME}/{made['id']}/replay", {"since": "2026-09-01T08:00:02"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/since")


async def test_an_endpoint_that_is_gone_says_so_and_can_be_enabled(api: Api, receiver: Receiver, yard: Yard) -> None:
    made = await make(api, receiver.url, "trial.started")
    receiver.answer = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
    await yard.happens("trial.started")
    await send(api)
    shown = await api.told("GET", f"{HOME}/{made['id']}")
    assert (shown["state"], shown["disabled_reason"]) == ("disabled", "gone")
    (delivery,) = (await api.told("GET", f"{HOME}/{made['id']}/deliveries"))["data"]
    assert (delivery["state"], delivery["last_status"], delivery["next_try_at"]) == ("failed", 410, None)
    refused = await api.ask("POST", f"{HOME}/{made['id']}/deliveries/{delivery['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    shown = await api.told("POST", f"{HOME}/{made['id']}/enable")
    assert (shown["state"], shown["disabled_reason"]) == ("enabled", None)
