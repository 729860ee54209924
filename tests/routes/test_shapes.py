"""The contract, field by field: what each address answers when all is well (sections 3 to 5)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.notices import service as notices
from billing.notices.kinds import TRIAL_ENDING
from billing.subscriptions import service as subscriptions
from billing.subscriptions.service import Pass
from tests.routes.house import ADULT, HOME, Api

ID = r"_[0-9a-hjkmnp-tv-z]{26}"
NOW = "2026-09-01T08:00:00Z"
ADD_ONS = ["messages", "desk_view", "push_notifications", "homework"]


async def test_an_account_is_answered_whole_201_when_new_and_200_when_changed(api: Api):
    body = {
        "email": "anna@example.pl",
        "locale": "uk",
        "kind": "guardian",
        "age_band": "adult",
        "guardian_email": None,
        "email_confirmed": True,
    }
    first = await api.ask("PUT", "/v1/accounts/a1", body)
    assert first.status_code == 201
    assert first.json() == {
        "object": "account",
        "account": "a1",
        "email": "anna@example.pl",
        "locale": "uk",
        "kind": "guardian",
        "age_band": "adult",
        "guardian_email": None,
        "email_confirmed": True,
        "status": "active",
        "created_at": NOW,
    }
    second = await api.ask("PUT", "/v1/accounts/a1", body | {"locale": "en"})
    assert (second.status_code, second.json()) == (200, first.json() | {"locale": "en"})
    assert (await api.told("GET", "/v1/accounts/a1")) == second.json()


async def test_an_account_that_is_not_confirmed_is_pending_and_only_what_is_needed_must_be_said(api: Api):
    told = await api.told("PUT", "/v1/accounts/a1", {"email": "ola@example.pl", "kind": "pupil", "age_band": "13_17"})
    assert (told["status"], told["email_confirmed"], told["locale"], told["guardian_email"]) == (
        "pending",
        False,
        "pl",
        None,
    )


async def test_linking_a_pupil_answers_the_link_with_its_trial_r18(api: Api):
    await api.told("PUT", "/v1/accounts/a1", ADULT)
    first = await api.ask("PUT", "/v1/accounts/a1/pupils/p1", {"school": "sp5"})
    assert first.status_code == 201
    trial = first.json().pop("trial")
    assert first.json() == {
        "object": "pupil_link",
        "account": "a1",
        "pupil": "p1",
        "school": "sp5",
        "linked_at": NOW,
        "trial": trial,
    }
    assert re.fullmatch("trl" + ID, trial.pop("id"))
    ends_at, reverts_on = trial.pop("ends_at"), trial.pop("reverts_on")
    assert trial == {
        "object": "trial",
        "pupil": "p1",
        "starts_at": NOW,
        "state": "running",
        "features": ADD_ONS,
        "notice": {"state": "planned", "handed_over_at": None},
    }
    midnight = datetime.fromisoformat(ends_at)
    assert ends_at.endswith("Z")
    assert (midnight + timedelta(hours=2)).isoformat()[:19] == f"{reverts_on}T00:00:00", "midnight in Warsaw, in summer"
    again = await api.ask("PUT", "/v1/accounts/a1/pupils/p1", {})
    assert (again.status_code, again.json()) == (200, first.json())


async def test_unlinking_takes_the_rights_at_once_and_a_second_time_there_is_nothing_r3(api: Api):
    await api.family("a1", "p1")
    asked = {"channel": "mobile", "pupil": "p1"}
    gone = await api.ask("DELETE", "/v1/accounts/a1/pupils/p1")
    assert (gone.status_code, gone.content) == (204, b"")
    refused = await api.told("GET", "/v1/accounts/a1/entitlements/messages", params=asked)
    assert (refused["allowed"], refused["reason"]) == (False, "not_linked")
    again = await api.ask("DELETE", "/v1/accounts/a1/pupils/p1")
    assert (again.status_code, again.json()["code"]) == (404, "not_linked")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_a_list_is_read_in_pages_each_thing_once_in_order(api: Api, limit: int):
    pupils = [f"p{number}" for number in range(7)]
    await api.family("a1", *pupils)
    seen: list[str] = []
    told, after = dict[str, Any](), dict[str, Any]()
    for _ in range(8):
        told = await api.told("GET", "/v1/accounts/a1/pupils", params={"limit": limit} | after)
        assert list(told) == ["object", "data", "has_more", "next"]
        assert told["object"] == "list"
        assert len(told["data"]) <= limit
        seen += [row["pupil"] for row in told["data"]]
        assert told["has_more"] is (told["next"] is not None)
        if not told["has_more"]:
            break
        after = {"after": told["next"]}
    assert seen == pupils
    assert len(told["data"]) == (7 % limit or min(limit, 7))


async def test_an_empty_list_is_a_list(api: Api):
    await api.told("PUT", "/v1/accounts/a1", ADULT)
    for listed in ("pupils", "notices", "subscriptions"):
        told = await api.told("GET", f"/v1/accounts/a1/{listed}")
        assert told == {"object": "list", "data": [], "has_more": False, "next": None}


async def test_a_notice_says_what_must_be_told_to_whom_and_whether_it_was(
    api: Api, database: Database, clock: FixedClock
):
    await api.family("a1", "p1", "p2")
    async with database.begin() as session:
        for day in (1, 2):
            on, at = datetime(2026, 10, day, tzinfo=UTC).date(), clock.now() + timedelta(seconds=day)
            await notices.plan_letter(session, "a1", TRIAL_ENDING, str(on), at, day=on, pupils=["p1", "p2"])
    told = await api.told("GET", "/v1/accounts/a1/notices", params={"limit": 1})
    (notice,) = told["data"]
    assert (told["has_more"], told["next"]) == (True, notice["id"])
    assert re.fullmatch("ntc" + ID, notice["id"])
    assert notice == {
        "object": "notice",
        "id": notice["id"],
        "account": "a1",
        "kind": "trial_ending",
        "day": "2026-10-01",
        "state": "planned",
        "pupils": ["p1", "p2"],
        "handed_over_at": None,
    }
    rest = await api.told("GET", "/v1/accounts/a1/notices", params={"after": told["next"]})
    assert [row["day"] for row in rest["data"]] == ["2026-10-02"]
    shown = await api.told("POST", f"/v1/notices/{notice['id']}/shown")
    assert shown == notice | {"state": "handed_over", "handed_over_at": NOW}
    not_their_day = await api.told("POST", f"/v1/notices/{rest['data'][0]['id']}/shown")
    assert not_their_day == rest["data"][0] | {"state": "dropped"}


async def test_a_school_is_told_what_it_blocks_and_a_block_wins_r12(api: Api):
    await api.family("a1", "p1")
    told = await api.ask("PUT", "/v1/schools/sp5", {"blocked_features": ["messages", "homework", "messages"]})
    expected = {"object": "school", "school": "sp5", "blocked_features": ["homework", "messages"]}
    assert (told.status_code, told.json()) == (200, expected)
    asked = {"channel": "mobile", "pupil": "p1"}
    refused = await api.told("GET", "/v1/accounts/a1/entitlements/messages", params=asked)
    assert (refused["allowed"], refused["reason"]) == (False, "blocked_by_school")
    assert (await api.told("PUT", "/v1/schools/sp5", {"blocked_features": []}))["blocked_features"] == []
    assert (await api.told("GET", "/v1/accounts/a1/entitlements/messages", params=asked))["reason"] == "trial"


async def test_an_activation_link_shows_its_address_once_for_fourteen_warsaw_days_r32(api: Api):
    await api.family("a1", "p1", "p2")
    made = await api.ask("POST", "/v1/accounts/a1/activation-links", {"pupils": ["p2", "p1", "p2"]})
    assert made.status_code == 201
    told = made.json()
    assert re.fullmatch("lnk" + ID, told.pop("id"))
    assert re.fullmatch(HOME + r"/activate/[A-Za-z0-9_-]{32,}", told.pop("url"))
    assert told == {"object": "activation_link", "expires_at": "2026-09-15T22:00:00Z", "pupils": ["p1", "p2"]}


async def test_a_paid_right_names_its_order_to_the_buyer_alone_r87(api: Api, database: Database, clock: FixedClock):
    await api.family("a1", "p1")
    await api.family("a2", "p1")
    at = clock.now()
    async with database.begin() as session:
        bought = Pass(
            pupil="p1",
            account="a1",
            product="mobile-addons-season",
            features=("messages",),
            since=at,
            until=datetime(2027, 6, 30, 22, tzinfo=UTC),
            order="ord_01kd0000000000000000000000",
        )
        row = await subscriptions.begin_pass(session, bought, at)
        assert row is not None
        key = subscriptions.subscription_id(row)
    expected = {
        "object": "subscription",
        "id": key,
        "kind": "season_pass",
        "state": "active",
        "pupil": "p1",
        "since": NOW,
        "until": "2027-06-30T22:00:00Z",
        "will_renew": False,
        "order": "ord_01kd0000000000000000000000",
    }
    assert re.fullmatch("sub" + ID, key)
    assert (await api.told("GET", f"/v1/subscriptions/{key}")) == expected
    assert (await api.told("GET", "/v1/accounts/a1/subscriptions"))["data"] == [expected]
    assert (await api.told("GET", "/v1/accounts/a2/subscriptions"))["data"] == [expected | {"order": None}]


async def test_an_erasure_answers_202_with_what_is_kept_and_the_account_is_unknown_r88(api: Api):
    await api.family("a1", "p1")
    erased = await api.ask("DELETE", "/v1/accounts/a1")
    assert erased.status_code == 202
    assert {name: erased.json()[name] for name in ("object", "account", "status")} == {
        "object": "erasure",
        "account": "a1",
        "status": "done",
    }
    for kept in erased.json()["kept"]:
        assert list(kept) == ["what", "rows", "until"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", kept["until"])
    for method, path in (
        ("GET", ""),
        ("GET", "/export"),
        ("GET", "/pupils"),
        ("GET", "/notices"),
        ("DELETE", ""),
        ("GET", "/subscriptions"),
        ("GET", "/entitlements?channel=mobile"),
    ):
        answer = await api.ask(method, f"/v1/accounts/a1{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account"), path


async def test_an_export_holds_the_persons_own_data_r91(api: Api):
    await api.family("a1", "p1")
    told = await api.told("GET", "/v1/accounts/a1/export")
    assert list(told) == ["object", "account", "pupils", "orders", "complaints", "letters"]
    assert (told["object"], told["account"]["email"]) == ("export", "anna@example.pl")
    assert told["pupils"] == [{"pupil": "p1", "school": "sp5", "linked_at": NOW}]


async def test_the_catalogue_tells_products_prices_and_days(api: Api):
    told = await api.told("GET", "/v1/catalog", scope="entitlements:read")
    assert (told["object"], told["as_of"]) == ("catalog", NOW)
    (product,) = told["products"]
    assert product["features"] == ADD_ONS
    assert (product["price"], product["vat"]) == (
        {"amount": 4499, "currency": "PLN"},
        {"amount": 841, "currency": "PLN"},
    )
    assert (product["first_day"], product["last_day"], product["renews"]) == ("2026-09-01", "2027-06-30", False)
    assert (product["vat_rate_percent"], product["lowest_30_days"]) == (23, None)
    kinds = {feature["feature"]: feature["kind"] for feature in told["features"]}
    assert {key for key, kind in kinds.items() if kind == "add_on"} == set(ADD_ONS)
    assert {key for key, kind in kinds.items() if kind == "basic"} == {
        "grades",
        "absences",
        "timeline",
        "timetable",
        "calendar",
        "multiaccount",
    }


async def test_a_decision_of_the_whole_product_has_every_field(api: Api):
    await api.family("a1", "p1")
    told = await api.told("GET", "/v1/accounts/a1/entitlements/messages", params={"channel": "mobile"})
    (source,) = told.pop("sources")
    assert list(source) == ["source", "id", "since", "until"]
    assert re.fullmatch("trl" + ID, source["id"])
    assert told == {
        "object": "decision",
        "account": "a1",
        "pupil": "p1",
        "feature": "messages",
        "channel": "mobile",
        "allowed": True,
        "reason": "trial",
        "valid_until": source["until"],
        "reverts_to": "basic",
        "free_in_browser": True,
        "notice_pending": False,
        "source": "live",
        "as_of": NOW,
    }


async def test_no_time_is_told_without_z_and_no_day_with_one(api: Api):
    await api.family("a1", "p1")
    whole = (await api.ask("GET", "/v1/accounts/a1/pupils")).text + (await api.ask("GET", "/v1/catalog")).text
    times = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', whole)
    assert len(times) >= 4
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", time) for time in times)
