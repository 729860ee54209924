"""Many questions at once: one reading, every answer in its place, a bad one spoils only itself."""

from datetime import UTC, datetime
from typing import Any

import pytest
from httpx2 import AsyncClient as Client

from billing.kernel.db import Database
from entitlements import service

pytestmark = pytest.mark.anyio

END = datetime(2026, 11, 29, 23, tzinfo=UTC)


@pytest.fixture
async def town(database: Database, at: datetime) -> None:
    """Accounts a0 to a9; a<n> has pupil p<n>, and the even pupils have a pass until END. a1 has p2 too."""
    async with database.begin() as session:
        for number in range(10):
            await service.put_account(session, f"a{number}")
            await service.put_link(session, f"a{number}", f"p{number}", None, at)
            if number % 2 == 0:
                await service.add_grant(
                    session,
                    pupil=f"p{number}",
                    source="paid",
                    origin=f"sub_{number}",
                    features=["messages"],
                    since=at,
                    until=END,
                    at=at,
                )
        await service.put_link(session, "a1", "p2", None, at)


def item(account: str = "a0", pupil: str | None = "p0", feature: str = "messages") -> dict[str, Any]:
    return {"account": account, "feature": feature} | ({} if pupil is None else {"pupil": pupil})


async def check(client: Client, *checks: Any, **more: Any) -> Any:
    answer = await client.post("/v1/entitlements/check", json={"channel": "mobile", "checks": list(checks)} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_five_hundred_questions_are_answered_in_their_order(client: Client, town: None):
    asked = [item(f"a{number % 10}", f"p{number % 10}") for number in range(500)]
    answer = await check(client, *asked)
    assert (answer["object"], answer["as_of"]) == ("check_results", "2026-09-01T08:00:00Z")
    got = [(each["account"], each["pupil"], each["allowed"]) for each in answer["results"]]
    assert got == [(each["account"], each["pupil"], int(each["pupil"][1:]) % 2 == 0) for each in asked]


async def test_a_result_is_the_decision_that_a_single_question_gets(client: Client, town: None):
    single = await client.get("/v1/accounts/a0/entitlements/messages", params={"channel": "mobile", "pupil": "p0"})
    assert (await check(client, item()))["results"] == [single.json()]


async def test_a_bad_question_is_an_error_in_its_place_and_spoils_no_other(client: Client, town: None):
    asked = [
        item(),
        item(feature="foo"),
        item(account="nobody"),
        item(account="a1", pupil=None),
        item(account="a b"),
        {"account": "a0"},
        {"account": "a0", "feature": "messages", "pupil": "p0", "extra": 1},
        7,
        None,
        item(pupil="p1"),
        item(account="nobody", pupil=None, feature="grades"),
        item(pupil=None),
    ]
    results = (await check(client, *asked))["results"]
    said = [each["error"]["code"] if "error" in each else each["reason"] for each in results]
    assert said == [
        "paid",
        "unknown_feature",
        "unknown_account",
        "pupil_required",
        *["malformed_check"] * 5,
        "not_linked",
        "basic",
        "paid",
    ]
    assert all(set(each["error"]) == {"code", "detail"} for each in results if "error" in each)


async def test_a_compact_answer_is_yes_no_or_null_and_one_valid_until(client: Client, town: None):
    answer = await check(client, item(), item("a1", "p1"), item(feature="foo"), answer="compact")
    assert answer == {
        "object": "check_results",
        "as_of": "2026-09-01T08:00:00Z",
        "valid_until": "2026-11-29T23:00:00Z",
        "source": "live",
        "allowed": [True, False, None],
    }


async def test_a_batch_may_ask_about_another_instant_and_for_strong_consistency(client: Client, town: None):
    answer = await check(client, item(), at="2026-11-30T00:00:00+01:00", consistency="strong")
    assert (answer["as_of"], answer["results"][0]["reason"]) == ("2026-11-29T23:00:00Z", "pass_expired")
    strong = await client.post("/v1/entitlements/check?consistency=strong", json={"channel": "web", "checks": []})
    assert (strong.status_code, strong.json()["results"]) == (200, [])


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({"checks": []}, "channel_required", ["/channel"]),
        ({"checks": [], "at": 5, "x": 1}, "channel_required", ["/at", "/channel", "/x"]),
        ({"channel": "tv", "checks": []}, "malformed_request", ["/channel"]),
        ({"channel": "mobile"}, "malformed_request", ["/checks"]),
        ({"channel": "mobile", "checks": {}}, "malformed_request", ["/checks"]),
        ({"channel": "mobile", "checks": [1] * 501}, "malformed_request", ["/checks"]),
        ({"channel": "mobile", "checks": [], "answer": "long"}, "malformed_request", ["/answer"]),
        ({"channel": "mobile", "checks": [], "at": "2026-11-30T00:00:00"}, "malformed_request", ["/at"]),
        ({"channel": "mobile", "checks": [], "at": "0001-01-01T00:00:00+10:00"}, "malformed_request", ["/at"]),
        ([], "malformed_request", [""]),
        (None, "malformed_request", [""]),
    ],
)
async def test_a_bad_envelope_is_refused_with_every_fault_named(client: Client, body: Any, code: str, named: list[str]):
    answer = await client.post("/v1/entitlements/check", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert sorted(fault["pointer"] for fault in answer.json()["errors"]) == named


async def test_bytes_that_are_no_json_are_refused(client: Client):
    headers = {"content-type": "application/json"}
    for body in (b"", b"{", b"\xff", b'{"channel": "mobile", "channel": "web", "checks": []}'):
        answer = await client.post("/v1/entitlements/check", content=body, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["code"] in {"malformed_request", "malformed_body"}
        assert answer.json()["errors"]


async def test_unknown_query_parameters_are_refused_here_too(client: Client):
    answer = await client.post("/v1/entitlements/check?channel=mobile", json={"channel": "mobile", "checks": []})
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["channel"]


async def test_with_the_store_down_the_free_ones_are_answered_and_the_others_say_so_i06_i07(cut_off: Client):
    results = (await check(cut_off, item(feature="grades"), item(), item(feature="foo")))["results"]
    said = [each["error"]["code"] if "error" in each else each["reason"] for each in results]
    assert said == ["basic", "store_unavailable", "unknown_feature"]
    compact = await check(cut_off, item(feature="grades"), item(), answer="compact")
    assert compact["allowed"] == [True, None]
    browser = await check(cut_off, item(), channel="web")
    assert browser["results"][0]["reason"] == "browser"
    none = await cut_off.post("/v1/entitlements/check", json={"channel": "mobile", "checks": [item()]})
    assert (none.status_code, none.json()["code"]) == (503, "store_unavailable")
    assert "retry-after" in none.headers
