"""`GET /v1/changes`: what a backend that keeps answers reads, as it reads it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from billing.kernel.clock import FixedClock
from entitlements.changes import NUMBER
from tests.routes.house import Api
from tests.routes.reading import problem

READER = "entitlements:read"


async def number(api: Api) -> None:
    """What a worker does when it is rung for."""
    work = next(work for work in api.services.works if work.name == NUMBER)
    while await work.run(api.services.clock.now()):
        pass


async def read(api: Api, **query: Any) -> Any:
    return await api.told("GET", "/v1/changes", params=query, scope=READER)


async def test_a_backend_follows_a_family_from_its_first_day_to_the_end_of_its_trial(
    api: Api, clock: FixedClock, at: datetime
) -> None:
    assert await read(api) == {"object": "list", "data": [], "has_more": False, "next": None}
    await number(api)
    await api.family("a1", "p1")
    await number(api)
    first = await read(api)
    assert [(each["seq"], each["pupil"], each["cause"]) for each in first["data"]] == [
        (1, None, "account_added"),
        (2, "p1", "linked"),
        (3, "p1", "trial_started"),
    ]
    assert first["data"][2] == {
        "seq": 3,
        "account": "a1",
        "pupil": "p1",
        "changed_at": "2026-09-01T08:00:00Z",
        "effective_at": "2026-09-01T08:00:00Z",
        "cause": "trial_started",
    }
    plan = datetime(2026, 12, 1, tzinfo=UTC)
    async with api.services.database.begin() as session:
        await session.execute(text("update entitlement_grant set bound = true, until = :plan"), {"plan": plan})
    clock.move(plan + timedelta(seconds=20))
    await number(api)
    rest = await read(api, after=3)
    assert rest["data"] == [
        {
            "seq": 4,
            "account": "a1",
            "pupil": "p1",
            "changed_at": "2026-12-01T00:00:00Z",
            "effective_at": "2026-12-01T00:00:00Z",
            "cause": "trial_ended",
        }
    ]
    assert (await read(api, after=4))["data"] == []


async def test_pages_lead_on_until_there_is_no_more(api: Api) -> None:
    await api.family("a1", "p1", "p2", "p3")
    await number(api)
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await read(api, **query)
        assert len(page["data"]) <= 2
        seen += [each["seq"] for each in page["data"]]
        assert page["has_more"] == (page["next"] is not None)
        if not page["has_more"]:
            break
        query["after"] = page["next"]
    assert seen == list(range(1, 8))
    assert len((await read(api, limit=1000))["data"]) == 7


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", [("limit", "invalid")]),
        ("limit=1001", [("limit", "invalid")]),
        ("after=-1", [("after", "invalid")]),
        ("after=x", [("after", "invalid")]),
        ("after=1.5", [("after", "invalid")]),
        ("after=", [("after", "invalid")]),
        ("after=9223372036854775808", [("after", "invalid")]),
        ("after=1", [("after", "invalid")]),
        ("after=1&after=2", [("after", "repeated")]),
        ("x=1&limit=ten&after=%00", [("x", "unknown_parameter"), ("limit", "invalid"), ("after", "invalid")]),
    ],
)
async def test_a_query_that_cannot_be_meant_is_refused_with_every_fault_named_s67(
    api: Api, query: str, named: list[tuple[str, str]]
) -> None:
    answer = await api.ask("GET", f"/v1/changes?{query}", scope=READER)
    assert sorted(problem(answer, 400, "malformed_request")) == sorted(named)


async def test_where_changes_are_kept_no_more_it_is_said_and_not_passed_over(api: Api) -> None:
    await api.family("a1", "p1", "p2")
    await number(api)
    async with api.services.database.begin() as session:
        await session.execute(text("delete from entitlement_news where seq < 4"))
    for after in (0, 1, 2):
        problem(await api.ask("GET", f"/v1/changes?after={after}", scope=READER), 410, "changes_forgotten")
    assert [each["seq"] for each in (await read(api, after=3))["data"]] == [4, 5]
    assert [each["seq"] for each in (await read(api))["data"]] == [4, 5]
    async with api.services.database.begin() as session:
        await session.execute(text("delete from entitlement_news"))
    problem(await api.ask("GET", "/v1/changes?after=4", scope=READER), 410, "changes_forgotten")
    assert (await read(api, after=5))["data"] == []
    assert (await read(api))["data"] == []
