"""The window over HTTP: the contract's section 4, word by word."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from httpx2 import AsyncClient as Client
from openapi_spec_validator import validate

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.keys import create_key
from entitlements import service
from entitlements.reader import FactsReader
from tests.entitlements.conftest import NOWHERE, desk

pytestmark = pytest.mark.anyio

END = datetime(2026, 11, 29, 23, tzinfo=UTC)
MESSAGES = "/v1/accounts/a1/entitlements/messages"


@pytest.fixture
async def family(database: Database, at: datetime) -> None:
    """Account a1 with pupils p1 (on trial until END) and p2 (nothing), account a2 with p1 alone, a0 with nobody."""
    async with database.begin() as session:
        for account, pupils in {"a0": "", "a1": "12", "a2": "1"}.items():
            await service.put_account(session, account)
            for number in pupils:
                await service.put_link(session, account, f"p{number}", "sp5", at)
        await service.add_grant(
            session,
            pupil="p1",
            source="trial",
            origin="trl_1",
            features=["messages", "homework"],
            since=at,
            until=END,
            at=at,
        )


async def ask(client: Client, path: str = MESSAGES, **query: str) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_decision_has_every_field_of_the_contract(client: Client, family: None):
    assert await ask(client, channel="mobile", pupil="p1") == {
        "object": "decision",
        "account": "a1",
        "pupil": "p1",
        "feature": "messages",
        "channel": "mobile",
        "allowed": True,
        "reason": "trial",
        "valid_until": "2026-11-29T23:00:00Z",
        "sources": [
            {"source": "trial", "id": "trl_1", "since": "2026-09-01T08:00:00Z", "until": "2026-11-29T23:00:00Z"}
        ],
        "reverts_to": "basic",
        "free_in_browser": True,
        "notice_pending": False,
        "source": "live",
        "as_of": "2026-09-01T08:00:00Z",
    }


async def test_it_flips_at_the_instant_with_no_job_running_r20_r131(client: Client, family: None, clock: FixedClock):
    clock.move(END - timedelta(milliseconds=1))
    assert (await ask(client, channel="mobile", pupil="p1"))["allowed"]
    clock.move(END)
    refused = await ask(client, channel="mobile", pupil="p1")
    assert (refused["allowed"], refused["reason"], refused["valid_until"]) == (False, "trial_ended", None)
    assert refused["free_in_browser"] is True


async def test_another_instant_may_be_asked_about(client: Client, family: None):
    asked = {"channel": "mobile", "pupil": "p1"}
    before = await ask(client, at="2026-11-30T00:59:59.999+02:00", **asked)
    after = await ask(client, at="2026-11-30T00:00:00+01:00", **asked)
    assert (before["allowed"], before["as_of"]) == (True, "2026-11-29T22:59:59.999000Z")
    assert (after["allowed"], after["as_of"]) == (False, "2026-11-29T23:00:00Z")


async def test_the_pupil_may_be_left_out_where_there_is_only_one(client: Client, family: None):
    assert (await ask(client, "/v1/accounts/a2/entitlements/messages", channel="mobile"))["pupil"] == "p1"
    for account in ("a0", "a1"):
        answer = await client.get(f"/v1/accounts/{account}/entitlements/messages", params={"channel": "mobile"})
        assert (answer.status_code, answer.json()["code"]) == (422, "pupil_required")
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["pupil"]


async def test_a_pupil_of_somebody_else_is_refused_as_not_linked(client: Client, family: None):
    answer = await ask(client, "/v1/accounts/a2/entitlements/messages", channel="mobile", pupil="p2")
    assert (answer["allowed"], answer["reason"], answer["sources"]) == (False, "not_linked", [])


async def test_basic_features_and_the_browser_are_free_for_anybody_r9_r10(client: Client):
    basic = await ask(client, "/v1/accounts/nobody/entitlements/grades", channel="mobile")
    browser = await ask(client, "/v1/accounts/nobody/entitlements/messages", channel="web", pupil="p7")
    assert (basic["allowed"], basic["reason"], basic["pupil"]) == (True, "basic", None)
    assert (browser["allowed"], browser["reason"], browser["pupil"]) == (True, "browser", "p7")


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        (MESSAGES, {"pupil": "p1"}, 400, "channel_required"),
        ("/v1/accounts/a1/entitlements/grades", {}, 400, "channel_required"),
        ("/v1/accounts/a1/entitlements", {}, 400, "channel_required"),
        ("/v1/accounts/a1/entitlements/foo", {"channel": "mobile", "pupil": "p1"}, 404, "unknown_feature"),
        ("/v1/accounts/a1/entitlements/foo", {"channel": "web"}, 404, "unknown_feature"),
        ("/v1/accounts/nobody/entitlements/messages", {"channel": "mobile", "pupil": "p1"}, 404, "unknown_account"),
        ("/v1/accounts/nobody/entitlements", {"channel": "mobile"}, 404, "unknown_account"),
        ("/v1/accounts/nobody/entitlements", {"channel": "web"}, 404, "unknown_account"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem_with_a_code_of_its_own(
    client: Client, family: None, path: str, query: dict[str, str], status: int, code: str
):
    answer = await client.get(path, params=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_every_fault_of_a_question_is_named_at_once(client: Client):
    path = "/v1/accounts/a%20b/entitlements/messages"
    query = "pupil=p%0A&at=yesterday&consistency=weak&chanel=mobile&pupil=p1&pupil=p%0A"
    answer = await client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "channel_required")
    named = sorted((fault["pointer"], fault["code"]) for fault in answer.json()["errors"])
    assert named == [
        ("account", "invalid"),
        ("at", "invalid"),
        ("chanel", "unknown_parameter"),
        ("channel", "channel_required"),
        ("consistency", "invalid"),
        ("pupil", "invalid"),
        ("pupil", "repeated"),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"channel": "tv"},
        {"channel": "mobile", "at": "2026-11-29"},
        {"channel": "mobile", "at": "2026-11-29T23:00:00"},
        {"channel": "mobile", "at": "2026-13-29T23:00:00Z"},
        {"channel": "mobile", "at": "0001-01-01T00:00:00+14:00"},
        {"channel": "mobile", "at": ""},
        {"channel": "mobile", "pupil": ""},
        {"channel": "mobile", "pupil": "x" * 65},
        {"channel": "mobile", "pupil": "zażółć"},
    ],
)
async def test_nothing_malformed_is_guessed_at_even_for_a_basic_feature(client: Client, bad: dict[str, str]):
    answer = await client.get("/v1/accounts/a1/entitlements/grades", params=bad)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [min(bad, key="channel".__eq__)]


async def test_the_whole_account_lists_every_pupil_and_add_on(client: Client, family: None):
    answer = await ask(client, "/v1/accounts/a1/entitlements", channel="mobile")
    assert {name: answer[name] for name in answer if name != "pupils"} == {
        "object": "entitlements",
        "account": "a1",
        "channel": "mobile",
        "valid_until": "2026-11-29T23:00:00Z",
        "as_of": "2026-09-01T08:00:00Z",
        "basic": ["absences", "grades"],
        "source": "live",
    }
    table = {row["pupil"]: {each["feature"]: each["reason"] for each in row["features"]} for row in answer["pupils"]}
    assert table == {
        "p1": {"homework": "trial", "messages": "trial", "push_notifications": "never_started"},
        "p2": {"homework": "never_started", "messages": "never_started", "push_notifications": "never_started"},
    }
    single = await ask(client, channel="mobile", pupil="p1")
    for left_out in ("object", "account", "channel", "source", "as_of"):
        del single[left_out]
    assert answer["pupils"][0]["features"][1] == single


async def test_the_whole_account_can_be_asked_for_one_pupil_or_the_browser(client: Client, family: None):
    one = await ask(client, "/v1/accounts/a1/entitlements", channel="mobile", pupil="p2")
    stranger = await ask(client, "/v1/accounts/a1/entitlements", channel="mobile", pupil="p9")
    browser = await ask(client, "/v1/accounts/a1/entitlements", channel="web")
    nobody = await ask(client, "/v1/accounts/a0/entitlements", channel="mobile")
    assert [row["pupil"] for row in one["pupils"]] == ["p2"]
    assert {each["reason"] for each in stranger["pupils"][0]["features"]} == {"not_linked"}
    assert {each["reason"] for row in browser["pupils"] for each in row["features"]} == {"browser"}
    assert (browser["valid_until"], nobody["pupils"], nobody["valid_until"]) == (None, [], None)


async def test_the_same_decision_has_the_same_etag_and_another_one_has_not_r133(
    client: Client, family: None, clock: FixedClock
):
    asked = {"channel": "mobile", "pupil": "p1"}
    first = await client.get(MESSAGES, params=asked)
    clock.move(END - timedelta(seconds=12, milliseconds=500))
    later = await client.get(MESSAGES, params=asked)
    assert (first.headers["etag"], first.json()["as_of"]) != (later.headers["etag"], later.json()["as_of"])
    assert first.headers["etag"] == later.headers["etag"]
    assert first.headers["cache-control"] == "private, max-age=30, stale-if-error=86400"
    assert later.headers["cache-control"] == "private, max-age=12, stale-if-error=86400"
    clock.move(END)
    refused = await client.get(MESSAGES, params=asked)
    assert refused.headers["etag"] != first.headers["etag"]
    assert refused.headers["cache-control"] == "private, max-age=5, stale-if-error=86400"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('W/"{tag}"', 304),
        ('"{tag}"', 304),
        ('"x,y", W/"{tag}"', 304),
        ("*", 304),
        ('"other"', 200),
        ("{tag}", 200),
        ("", 200),
    ],
)
@pytest.mark.parametrize("path", [MESSAGES, "/v1/accounts/a1/entitlements"])
async def test_if_none_match_is_answered_304(client: Client, family: None, path: str, condition: str, status: int):
    asked = {"channel": "mobile", "pupil": "p1"}
    first = await client.get(path, params=asked)
    tag = first.headers["etag"].removeprefix("W/").strip('"')
    again = await client.get(path, params=asked, headers={"if-none-match": condition.format(tag=tag)})
    assert again.status_code == status
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == first.headers["cache-control"]
    assert again.content == (b"" if status == 304 else first.content)


async def test_head_says_what_get_says_without_a_body(client: Client, family: None):
    for path in (MESSAGES, "/v1/accounts/a1/entitlements"):
        asked = {"channel": "mobile", "pupil": "p1"}
        got, head = await client.get(path, params=asked), await client.head(path, params=asked)
        assert (head.status_code, head.content) == (200, b"")
        assert dict(head.headers) == dict(got.headers)


async def test_with_the_store_down_what_is_free_stays_free_and_the_rest_is_503_r9_r134_i06_i07(cut_off: Client):
    for path, query in {
        "/v1/accounts/a1/entitlements/grades": {"channel": "mobile", "pupil": "p1"},
        MESSAGES: {"channel": "web"},
        "/v1/accounts/a1/entitlements": {"channel": "web", "pupil": "p1"},
    }.items():
        answer = await cut_off.get(path, params=query)
        assert answer.status_code == 200, answer.text
    for path in (MESSAGES, "/v1/accounts/a1/entitlements"):
        answer = await cut_off.get(path, params={"channel": "mobile", "pupil": "p1"})
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert int(answer.headers["retry-after"]) > 0


async def test_only_a_key_with_the_scope_may_ask(client: Client, database: Database, at: datetime):
    async with database.begin() as session:
        _, other = create_key(session, at, "shop", ("commerce:write",), mode="test")
    client.headers["authorization"] = f"Bearer {other}"
    assert (await client.get(MESSAGES, params={"channel": "web"})).status_code == 403
    del client.headers["authorization"]
    assert (await client.get(MESSAGES, params={"channel": "web"})).status_code == 401


def test_the_description_names_query_and_problems(clock: FixedClock):
    nothing = Database(NOWHERE)
    schema = desk(nothing, FactsReader(nothing), clock).openapi_schema.to_schema()
    described = msgspec.json.decode(msgspec.json.encode(schema))
    validate(described)
    paths = described["paths"]
    one = paths["/v1/accounts/{account}/entitlements/{feature}"]["get"]
    assert {(each["name"], each["in"], each["required"]) for each in one["parameters"]} == {
        ("account", "path", True),
        ("feature", "path", True),
        ("channel", "query", True),
        ("pupil", "query", False),
        ("at", "query", False),
        ("consistency", "query", False),
    }
    assert set(one["responses"]) == {"200", "304", "400", "401", "403", "404", "422", "429", "503"}
    assert "application/problem+json" in one["responses"]["422"]["content"]
    batch = paths["/v1/entitlements/check"]["post"]
    body = batch["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["channel", "checks"]
