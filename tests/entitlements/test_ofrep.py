"""OFREP: the protocol's shapes over the very decisions of the plain answers."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient as Client

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.keys import create_key
from billing.kernel.signing import read_keys
from entitlements.reader import FactsReader
from tests.entitlements.conftest import FEATURES, NOWHERE, asking
from tests.entitlements.doors import GRANTS, doors, settle_town

pytestmark = pytest.mark.anyio

ONE, ALL = "/ofrep/v1/evaluate/flags/messages", "/ofrep/v1/evaluate/flags"
TRIAL = {"targetingKey": "big", "channel": "mobile", "pupil": "trial"}
EVERYTHING = sorted(FEATURES.basic | FEATURES.add_ons)
ABSENT: Any = object()


@pytest.fixture
async def client(database: Database, clock: FixedClock, key: str, at: datetime) -> AsyncIterator[Client]:
    """Asks a desk in a town where every kind of answer occurs."""
    await settle_town(database, at)
    async with asking(doors(database, FactsReader(database), clock, read_keys("")), key) as made:
        yield made


@pytest.fixture
async def storeless(database: Database, clock: FixedClock, key: str) -> AsyncIterator[Client]:
    """Asks a desk whose store of rights is not there."""
    gone = Database(NOWHERE)
    async with asking(doors(database, FactsReader(gone), clock, read_keys("")), key) as made:
        yield made
    await gone.close()


async def ask(client: Client, path: str = ONE, expect: int = 200, **context: Any) -> Any:
    told = {name: value for name, value in (TRIAL | context).items() if value is not ABSENT}
    answer = await client.post(path, json={"context": told})
    assert answer.status_code == expect, answer.text
    return answer.json()


async def test_a_flag_has_the_fields_of_the_protocol_and_the_words_of_the_decision(client: Client):
    assert await ask(client) == {
        "key": "messages",
        "value": True,
        "reason": "TARGETING_MATCH",
        "variant": "trial",
        "metadata": {
            "channel": "mobile",
            "pupil": "trial",
            "valid_until": "2026-09-21T08:00:00Z",
            "notice_pending": True,
            "free_in_browser": True,
            "reverts_to": "basic",
            "source": "live",
        },
    }


async def test_every_door_gives_the_same_decision_for_every_pupil_feature_channel_and_instant(
    client: Client, clock: FixedClock, at: datetime
):
    asked = [(account, pupil) for account in ("big", "empty", "nobody") for pupil in (*GRANTS, "blocked", None)]
    variants: set[str] = set()
    for days in (0, 1, 20):
        clock.move(at + timedelta(days=days))
        for account, pupil in [*asked, ("small", None)]:
            for channel in ("mobile", "web"):
                context = {"targetingKey": account, "channel": channel} | ({} if pupil is None else {"pupil": pupil})
                bulk = (await client.post(ALL, json={"context": context})).json()["flags"]
                assert [each["key"] for each in bulk] == EVERYTHING
                for flag in bulk:
                    query = {name: value for name, value in context.items() if name != "targetingKey"}
                    plain = await client.get(f"/v1/accounts/{account}/entitlements/{flag['key']}", params=query)
                    assert _said(flag) == _plainly(plain.json()), (account, pupil, channel, flag)
                    variants.add(flag.get("variant", flag.get("code")))
                single = await client.post(ONE, json={"context": context})
                assert _said(single.json()) == _said(next(each for each in bulk if each["key"] == "messages"))
    assert variants >= {"basic", "browser", "trial", "paid", "sponsored", "granted", "grace", "never_started"}
    assert variants >= {"trial_ended", "pass_expired", "withdrawn", "refunded", "disputed", "payment_failed"}
    assert variants >= {"sponsorship_ended", "blocked_by_school", "not_linked", "pupil_required", "unknown_account"}


def _said(flag: dict[str, Any]) -> Any:
    if "errorCode" in flag:
        return flag["code"]
    told = flag["metadata"]
    return flag["value"], flag["variant"], told.get("pupil"), told.get("valid_until"), told["notice_pending"]


def _plainly(plain: dict[str, Any]) -> Any:
    if "code" in plain:
        return plain["code"]
    return tuple(plain[name] for name in ("allowed", "reason", "pupil", "valid_until", "notice_pending"))


async def test_all_flags_come_with_the_earliest_change_and_basic_ones_are_static(client: Client):
    told = await ask(client, ALL)
    assert told["metadata"] == {"channel": "mobile", "source": "live", "valid_until": "2026-09-21T08:00:00Z"}
    assert [(each["key"], each["reason"], each["value"]) for each in told["flags"]] == [
        ("absences", "STATIC", True),
        ("grades", "STATIC", True),
        ("homework", "TARGETING_MATCH", True),
        ("messages", "TARGETING_MATCH", True),
        ("push_notifications", "TARGETING_MATCH", False),
    ]


async def test_what_cannot_be_decided_is_an_error_in_its_place_and_spoils_no_other(client: Client):
    spoilt: dict[str, dict[str, Any]] = {
        "pupil_required": {"pupil": ABSENT},
        "unknown_account": {"targetingKey": "nobody"},
    }
    for code, context in spoilt.items():
        flags = {each["key"]: each for each in (await ask(client, ALL, **context))["flags"]}
        assert (flags["grades"]["value"], flags["messages"]["errorCode"]) == (True, "INVALID_CONTEXT")
        assert set(flags["messages"]) == {"key", "errorCode", "errorDetails", "code"}
        assert flags["messages"]["code"] == code


@pytest.mark.parametrize(
    ("context", "error", "code"),
    [
        ({"targetingKey": ABSENT}, "TARGETING_KEY_MISSING", "targeting_key_missing"),
        ({"targetingKey": ""}, "TARGETING_KEY_MISSING", "targeting_key_missing"),
        ({"targetingKey": None}, "TARGETING_KEY_MISSING", "targeting_key_missing"),
        ({"targetingKey": 7}, "INVALID_CONTEXT", "malformed_request"),
        ({"targetingKey": "a b"}, "INVALID_CONTEXT", "malformed_request"),
        ({"targetingKey": "nobody"}, "INVALID_CONTEXT", "unknown_account"),
        ({"channel": ABSENT}, "INVALID_CONTEXT", "channel_required"),
        ({"channel": None}, "INVALID_CONTEXT", "channel_required"),
        ({"channel": "tv"}, "INVALID_CONTEXT", "malformed_request"),
        ({"channel": True}, "INVALID_CONTEXT", "malformed_request"),
        ({"pupil": 5}, "INVALID_CONTEXT", "malformed_request"),
        ({"pupil": "zażółć"}, "INVALID_CONTEXT", "malformed_request"),
        ({"pupil": ABSENT}, "INVALID_CONTEXT", "pupil_required"),
    ],
)
async def test_a_context_that_cannot_be_used_is_400_in_the_protocols_shape(
    client: Client, context: dict[str, Any], error: str, code: str
):
    told = await ask(client, expect=400, **context)
    assert (told["key"], told["errorCode"], told["code"]) == ("messages", error, code)
    assert told["errorDetails"]
    assert told["request_id"] == "request-1"
    if code not in {"unknown_account", "pupil_required"}:
        assert "key" not in await ask(client, ALL, expect=400, **context)


async def test_every_fault_is_named_in_the_details(client: Client):
    told = await ask(client, ONE + "?foo=1&consistency=weak", expect=400, channel="tv", pupil="")
    assert all(name in told["errorDetails"] for name in ("channel:", "pupil:", "consistency:", "query.foo:"))


async def test_other_attributes_of_a_context_are_left_alone_and_a_null_pupil_is_none(client: Client):
    plain = await ask(client)
    assert await ask(client, at="2030-01-01T00:00:00Z", email="anna", nested={"deep": [1]}, consistency=5) == plain
    assert await ask(client, ONE + "?consistency=strong") == plain
    assert (await ask(client, targetingKey="small", pupil=None))["metadata"]["pupil"] == "trial"


async def test_an_unknown_feature_is_a_flag_that_is_not_found(client: Client):
    told = await ask(client, "/ofrep/v1/evaluate/flags/foo", expect=404)
    assert (told["key"], told["errorCode"], told["code"]) == ("foo", "FLAG_NOT_FOUND", "unknown_feature")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"context": {}, "context": {}}', b'{"context": {"a": NaN}}'])
async def test_bytes_that_are_no_json_are_a_parse_error(client: Client, body: bytes):
    for path in (ONE, ALL):
        answer = await client.post(path, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "PARSE_ERROR")


@pytest.mark.parametrize("body", [b"7", b"[]", b"null", b'{"context": null}', b'{"context": []}'])
async def test_a_document_of_another_shape_is_refused(client: Client, body: bytes):
    answer = await client.post(ONE, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_CONTEXT")


async def test_another_media_type_or_too_large_a_body_is_refused_in_the_protocols_shape(client: Client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-2", ""):
        answer = await client.post(ONE, content=b'{"context": {}}', headers={"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), kind
        assert answer.json()["errorCode"] == "GENERAL"


async def test_an_answer_held_already_is_304_until_it_changes(client: Client, clock: FixedClock, at: datetime):
    for path in (ONE, ALL):
        clock.move(at)
        first = await client.post(path, json={"context": TRIAL})
        assert first.headers["cache-control"] == "private, no-cache"
        clock.move(at + timedelta(days=19))
        held = {"if-none-match": first.headers["etag"]}
        again = await client.post(path, json={"context": TRIAL}, headers=held)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        other = await client.post(path, json={"context": TRIAL | {"pupil": "paid"}}, headers=held)
        assert (other.status_code, other.headers["etag"] != first.headers["etag"]) == (200, True)
        clock.move(at + timedelta(days=20))
        assert (await client.post(path, json={"context": TRIAL}, headers=held)).status_code == 200


async def test_a_key_may_come_in_either_of_the_protocols_headers(
    client: Client, key: str, database: Database, at: datetime
):
    async with database.begin() as session:
        _, shop = create_key(session, at, "shop", ("commerce:write",), mode="test")
    del client.headers["authorization"]
    sent: list[tuple[dict[str, str], int]] = [
        ({"x-api-key": key}, 200),
        ({"authorization": f"Bearer {key}"}, 200),
        ({"authorization": f"Bearer {key}", "x-api-key": "nonsense"}, 200),
        ({"authorization": "Bearer nonsense", "x-api-key": key}, 401),
        ({"x-api-key": "nonsense"}, 401),
        ({}, 401),
        ({"x-api-key": shop}, 403),
    ]
    for headers, status in sent:
        answer = await client.post(ONE, json={"context": TRIAL}, headers=headers)
        assert answer.status_code == status, headers
        if status != 200:
            assert answer.json()["errorCode"] == "GENERAL"
        assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)
    plain = "/v1/accounts/big/entitlements/messages?channel=web"
    assert (await client.get(plain, headers={"x-api-key": key})).status_code == 401


async def test_with_the_store_down_free_ones_are_answered_and_the_rest_is_503_never_a_silent_no_i06_i07(
    storeless: Client,
):
    assert (await ask(storeless, "/ofrep/v1/evaluate/flags/grades"))["value"] is True
    assert (await ask(storeless, ONE, channel="web"))["value"] is True
    assert all(each["value"] for each in (await ask(storeless, ALL, channel="web"))["flags"])
    for path in (ONE, ALL):
        answer = await storeless.post(path, json={"context": TRIAL})
        assert (answer.status_code, answer.json()["errorCode"]) == (503, "GENERAL")
        assert answer.json()["code"] == "store_unavailable"
        assert int(answer.headers["retry-after"]) > 0
