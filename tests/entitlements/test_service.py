"""The facts on a real PostgreSQL: written by the other rooms, read in one query."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from entitlements import service
from entitlements.decision import decide
from entitlements.facts import UnknownAccount
from entitlements.reader import FactsReader
from tests.entitlements.conftest import FEATURES, NOWHERE

pytestmark = pytest.mark.anyio

MONTH = timedelta(days=30)


async def linked(database: Database, at: datetime, account: str, *pupils: str, school: str | None = "sp5") -> None:
    async with database.begin() as session:
        await service.put_account(session, account)
        for pupil in pupils:
            await service.put_link(session, account, pupil, school, at)


async def give(database: Database, at: datetime, pupil: str, **more: Any) -> None:
    facts: dict[str, Any] = {"source": "paid", "origin": "sub_1", "features": ["messages"], "since": at}
    facts |= {"until": at + MONTH} | more
    async with database.begin() as session:
        await service.add_grant(session, pupil=pupil, at=at, **facts)


async def reason(database: Database, account: str, pupil: str, at: datetime, feature: str = "messages") -> str:
    facts = await FactsReader(database).account(account)
    assert facts is not None
    return decide(FEATURES, facts.of(pupil), feature, "mobile", at, at).reason


async def test_every_account_of_a_pupil_shares_its_right_and_a_sibling_has_none_r1_r2(database: Database, at: datetime):
    await linked(database, at, "mother", "p1", "p2")
    await linked(database, at, "father", "p1")
    await give(database, at, "p1")
    assert [await reason(database, who, "p1", at) for who in ("mother", "father")] == ["paid", "paid"]
    assert await reason(database, "mother", "p2", at) == "never_started"
    assert await reason(database, "father", "p2", at) == "not_linked"


async def test_unlinking_takes_the_right_at_once_and_linking_again_brings_it_back_r3(database: Database, at: datetime):
    await linked(database, at, "a1", "p1")
    await give(database, at, "p1")
    async with database.begin() as session:
        assert await service.drop_link(session, "a1", "p1")
        assert not await service.drop_link(session, "a1", "p1")
    assert await reason(database, "a1", "p1", at) == "not_linked"
    await linked(database, at, "a1", "p1")
    assert await reason(database, "a1", "p1", at) == "paid"


async def test_putting_the_same_account_and_link_again_changes_nothing(database: Database, at: datetime):
    async with database.begin() as session:
        assert await service.put_account(session, "a1")
        assert not await service.put_account(session, "a1")
        first, created = await service.put_link(session, "a1", "p1", "sp5", at)
        again, anew = await service.put_link(session, "a1", "p1", None, at + MONTH)
        assert (created, anew) == (True, False)
        assert again == first
        moved, _ = await service.put_link(session, "a1", "p1", "sp6", at)
        assert (moved.school, moved.linked_at) == ("sp6", at)
        assert await service.links_of(session, "a1") == [moved]
        assert await service.accounts_of(session, "p1") == ["a1"]
        with pytest.raises(UnknownAccount):
            await service.put_link(session, "nobody", "p1", None, at)


async def test_links_of_one_pupil_put_at_the_same_time_all_stand(database: Database, at: datetime):
    accounts = [f"a{number}" for number in range(8)]
    await asyncio.gather(*(linked(database, at, account, "p1", "p2") for account in accounts))
    async with database.begin() as session:
        assert await service.accounts_of(session, "p1") == accounts


async def test_removing_an_account_forgets_its_links_and_leaves_the_pupils_rights(database: Database, at: datetime):
    await linked(database, at, "a1", "p1", "p2")
    await linked(database, at, "a2", "p1")
    await give(database, at, "p1")
    async with database.begin() as session:
        assert await service.remove_account(session, "a1")
        assert not await service.remove_account(session, "a1")
    assert await FactsReader(database).account("a1") is None
    assert await reason(database, "a2", "p1", at) == "paid"


async def test_a_pupil_that_nothing_needs_any_more_is_not_remembered_r19(database: Database, at: datetime):
    await linked(database, at, "a1", "p1", "p2", "p3")
    await give(database, at, "p2", origin="trl_2")
    async with database.begin() as session:
        await service.drop_link(session, "a1", "p1")
        await service.remove_account(session, "a1")
    async with database.begin() as session:
        assert list(await session.scalars(text("select pupil from entitlement_pupil"))) == ["p2"]
        assert await service.remove_grants(session, "trl_2") == 1
        assert list(await session.scalars(text("select pupil from entitlement_pupil"))) == []


async def test_linking_and_forgetting_a_pupil_at_the_same_time_never_loses_its_school(database: Database, at: datetime):
    await linked(database, at, "a1", "p1")
    await linked(database, at, "a2")

    async def drop() -> None:
        async with database.begin() as session:
            await service.drop_link(session, "a1", "p1")

    for _ in range(10):
        await asyncio.gather(drop(), linked(database, at, "a2", "p1"), linked(database, at, "a1", "p1"), drop())
        async with database.begin() as session:
            assert [link.school for link in await service.links_of(session, "a2")] == ["sp5"]


async def test_a_schools_block_stops_exactly_its_features_for_exactly_its_pupils_r12(database: Database, at: datetime):
    await linked(database, at, "a1", "p1")
    await linked(database, at, "a1", "p2", school="sp6")
    await linked(database, at, "a1", "p3", school=None)
    for pupil in ("p1", "p2", "p3"):
        await give(database, at, pupil, origin=f"sub_{pupil}", features=["messages", "homework"])
    async with database.begin() as session:
        assert await service.put_school_blocks(session, "sp5", ["messages"], at) == {"messages"}
        assert await service.put_school_blocks(session, "sp5", ["messages", "homework"], at + MONTH) == {"homework"}
        assert await service.put_school_blocks(session, "sp5", ["messages"], at + MONTH) == frozenset()
        blocks = await service.blocks_of_pupils(session, ["p1", "p2", "p3", "p4"])
        assert await service.pupils_of_school(session, "sp5") == ["p1"]
    assert blocks == {"p1": {"messages"}, "p2": frozenset(), "p3": frozenset(), "p4": frozenset()}
    assert await reason(database, "a1", "p1", at) == "blocked_by_school"
    assert await reason(database, "a1", "p1", at, "homework") == "paid"
    assert await reason(database, "a1", "p2", at) == "paid"
    async with database.begin() as session:
        await service.put_school_blocks(session, "sp5", [], at)
    assert await reason(database, "a1", "p1", at) == "paid"


async def test_ending_closes_what_holds_and_empties_what_has_not_begun(database: Database, at: datetime):
    await linked(database, at, "a1", "p1")
    await give(database, at, "p1", since=at - 3 * MONTH, until=at - 2 * MONTH)
    await give(database, at, "p1")
    await give(database, at, "p1", since=at + MONTH, until=None)
    day = at + timedelta(days=1)
    async with database.begin() as session:
        assert await service.end_grants(session, "sub_1", day, "withdrawn") == 2
        assert await service.end_grants(session, "sub_1", day + MONTH, "disputed") == 0
        ends = text("select since, until, end_reason from entitlement_grant order by until, since")
        spans = (await session.execute(ends)).all()
    assert [tuple(span) for span in spans] == [
        (at - 3 * MONTH, at - 2 * MONTH, None),
        (at, day, "withdrawn"),
        (day, day, "withdrawn"),
    ]
    assert await reason(database, "a1", "p1", day - timedelta(milliseconds=1)) == "paid"
    assert await reason(database, "a1", "p1", day) == "withdrawn"
    assert await reason(database, "a1", "p1", at + 2 * MONTH) == "withdrawn"


async def test_one_pupils_share_of_an_origin_can_end_alone(database: Database, at: datetime):
    await linked(database, at, "a1", "p1", "p2")
    for pupil in ("p1", "p2"):
        await give(database, at, pupil, source="sponsored", origin="spn_1")
    async with database.begin() as session:
        assert await service.end_grants(session, "spn_1", at, "sponsorship_ended", pupil="p1") == 1
    assert [await reason(database, "a1", pupil, at) for pupil in ("p1", "p2")] == ["sponsorship_ended", "sponsored"]


async def test_an_unbound_trial_runs_on_until_a_new_end_is_planned_and_bound_r21(database: Database, at: datetime):
    await linked(database, at, "a1", "p1")
    await give(database, at, "p1", source="trial", origin="trl_1", bound=False)
    plan = at + MONTH
    assert await reason(database, "a1", "p1", plan + timedelta(days=2)) == "trial"
    async with database.begin() as session:
        assert await service.move_end(session, "trl_1", plan + timedelta(days=9), bound=False) == 1
        assert await service.bind(session, "trl_1") == 1
        assert await service.bind(session, "trl_1") == 0
    assert await reason(database, "a1", "p1", plan + timedelta(days=2)) == "trial"
    assert await reason(database, "a1", "p1", plan + timedelta(days=9)) == "trial_ended"


async def test_an_unbound_trial_whose_plan_has_passed_can_be_ended(database: Database, at: datetime):
    await linked(database, at, "a1", "p1")
    await give(database, at, "p1", source="trial", origin="trl_1", bound=False)
    now = at + 2 * MONTH
    async with database.begin() as session:
        assert await service.end_grants(session, "trl_1", now, None) == 1
    assert await reason(database, "a1", "p1", now) == "trial_ended"


async def test_what_ended_for_a_reason_is_not_moved(database: Database, at: datetime):
    await give(database, at, "p1")
    async with database.begin() as session:
        await service.end_grants(session, "sub_1", at, "refunded")
        assert await service.move_end(session, "sub_1", at + MONTH, bound=True) == 0


async def test_other_rooms_see_who_is_covered_and_until_when_r25(database: Database, at: datetime):
    await give(database, at, "p1")
    await give(database, at, "p1", source="sponsored", origin="spn_1", until=at + 2 * MONTH)
    await give(database, at, "p2", since=at + MONTH, until=at + 2 * MONTH)
    async with database.begin() as session:
        held = await service.holding_sources(session, ["p1", "p2", "p3"], at)
    assert {pupil: [(each.source, each.until) for each in found] for pupil, found in held.items()} == {
        "p1": [("sponsored", at + 2 * MONTH), ("paid", at + MONTH)],
        "p2": [],
        "p3": [],
    }


async def test_the_notice_flag_is_raised_for_one_account_only_r29(database: Database, at: datetime):
    await linked(database, at, "a1", "p1", "p2")
    await linked(database, at, "a2", "p1")
    async with database.begin() as session:
        assert await service.set_notice_pending(session, "a1", ["p1", "p9"], pending=True) == 1
    facts = await FactsReader(database).accounts(["a1", "a2", "a3"])
    assert {account: [each.notice_pending for each in known.pupils] for account, known in facts.items()} == {
        "a1": [True, False],
        "a2": [False],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"until_days": -1},
        {"source": "gift"},
        {"source": "paid", "bound": False},
        {"features": []},
        {"pupil": "p 1"},
    ],
)
async def test_the_database_refuses_a_grant_that_cannot_be(database: Database, at: datetime, wrong: dict[str, Any]):
    facts = dict(wrong)
    until = at + timedelta(days=facts.pop("until_days", 1))
    pupil = facts.pop("pupil", "p1")
    with pytest.raises(IntegrityError):
        await give(database, at, pupil, until=until, **facts)


async def test_a_store_that_is_not_there_is_unavailable_and_nothing_else_i07():
    gone = Database(NOWHERE)
    with pytest.raises(Unavailable) as told:
        await FactsReader(gone).account("a1")
    assert (told.value.code, told.value.retry_after) == ("store_unavailable", 2)
    await gone.close()


async def test_connections_that_died_in_the_pool_do_not_spoil_the_next_answer(
    database: Database, at: datetime, clock: FixedClock
):
    await linked(database, at, "a1", "p1")
    reader = FactsReader(database)
    assert await reader.account("a1")
    killer = Database(database.engine.url.render_as_string(hide_password=False))
    async with killer.begin() as session:
        others = "pid <> pg_backend_pid() and datname = current_database()"
        await session.execute(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
    await killer.close()
    await asyncio.sleep(0.1)
    assert await reader.account("a1")
