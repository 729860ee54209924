"""The snapshot on a real database: it tells the truth, whoever is cut off, restarted or killed (I05, I07, I08)."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import text

from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from entitlements import service
from entitlements.facts import NO_SPAN, AccountFacts, Holding
from entitlements.reader import FactsReader
from entitlements.snapshot.packed import micros
from entitlements.waking import Waker
from tests.entitlements.conftest import NOWHERE
from tests.entitlements.machines import AT, Machine, caught_up, family, until
from tests.entitlements.test_snapshot_packed import environment

pytestmark = pytest.mark.anyio

_CUT = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'billing-feed'"


async def test_what_was_there_before_is_loaded_and_equals_the_truth(machine: Machine, database: Database):
    for number in range(50):
        await family(database, f"a{number // 2}", f"p{number}", AT + timedelta(microseconds=number))
    async with database.begin() as session:
        await service.put_account(session, "nobody")
        await service.put_school_blocks(session, "sp1", ["messages", "homework"], AT)
        await service.end_grants(session, "sub_p7", AT, "withdrawn")
        await service.remove_grants(session, "sub_p8")
        await service.set_notice_pending(session, "a3", ["p6"], pending=True)
        for feature in ("od,d", 'qu"ote', "back\\slash", "NULL", "tab\t", "", "spa ce", "{}"):
            await session.execute(
                text(
                    "insert into entitlement_grant (id, pupil, source, origin, features, since, until, created_at)"
                    " values (gen_random_uuid(), 'p1', 'granted', 'or\tigin', array[:feature], '-infinity', null, :at),"
                    " (gen_random_uuid(), 'p3', 'granted', '', array['x'], :at, 'infinity', now())"
                ),
                {"feature": feature, "at": AT},
            )
    snapshot, _ = machine.process()
    await caught_up(snapshot)
    names = [f"a{number}" for number in range(25)]
    truth = await FactsReader(database).accounts(names)
    told = {name: snapshot.at_hand(name) for name in names}
    assert {name for name, facts in told.items() if facts is None} == {
        "a0",
        "a1",
    }  # no name, no end: no rule lets them in
    assert {name: facts for name, facts in told.items() if facts} == {name: truth[name] for name in names if told[name]}
    assert await snapshot.accounts([*names, "nobody", "stranger"]) == truth | {"nobody": AccountFacts("nobody")}


async def test_a_write_is_seen_at_once_by_its_own_process_and_soon_by_the_others(machine: Machine):
    ours, database = machine.process()
    others, _ = machine.process()
    Waker(database)
    await caught_up(ours)
    for number in range(20):
        await family(database, f"a{number}", f"p{number}")
        mine = await ours.account(f"a{number}")
        assert mine is not None
        assert mine.pupils[0].grants[0].origin == f"sub_p{number}"
        await until(lambda number=number: others.at_hand(f"a{number}") is not None, "was seen")
        async with database.begin() as session:
            await service.end_grants(session, f"sub_p{number}", AT, "refunded")
        mine = await ours.account(f"a{number}")
        assert mine is not None
        assert mine.pupils[0].grants[0].end_reason == "refunded"
    await caught_up(others)
    names = [f"a{number}" for number in range(20)]
    assert {name: others.at_hand(name) for name in names} == await FactsReader(database).accounts(names)
    assert ours.at_hand("a7") is not None


async def test_spans_are_told_only_while_all_that_is_known_may_be_trusted(machine: Machine):
    ours, database = machine.process()
    others, _ = machine.process()
    await caught_up(ours)
    end = AT + timedelta(days=90)
    asked = ([b"a", b"a", b"nobody"], [b"p", b"other", b""], ["messages", "messages", "unmet"])
    known = [(micros(AT), micros(end)), NO_SPAN, NO_SPAN]
    await family(database, "a", "p", end)
    assert ours.spans_at_hand(*asked) == [NO_SPAN] * 3, "written here, and not heard yet"
    assert ours.only_at_hand(*asked) == [None] * 3
    await caught_up(ours)
    await caught_up(others)
    assert ours.spans_at_hand(*asked) == others.spans_at_hand(*asked) == known
    assert others.only_at_hand(*asked) == [(Holding("paid", "sub_p", AT, end), False), None, None]
    async with database.begin() as session:
        await service.put_school_blocks(session, "sp1", ["messages"], AT)
    assert ours.spans_at_hand(*asked) == [NO_SPAN] * 3
    await caught_up(others)
    assert others.spans_at_hand(*asked) == [NO_SPAN] * 3, "a school's block is no plain case"
    await ours.close()
    assert ours.spans_at_hand(*asked) == [NO_SPAN] * 3
    assert ours.only_at_hand(*asked) == [None] * 3


async def test_a_school_s_block_and_a_shared_pupil_reach_every_account(machine: Machine):
    ours, database = machine.process()
    for account in ("mother", "father"):
        await family(database, account, "p")
    await caught_up(ours)
    async with database.begin() as session:
        await service.put_school_blocks(session, "sp1", ["messages"], AT)
    for account in ("mother", "father"):
        facts = await ours.account(account)
        assert facts is not None
        assert facts.pupils[0].blocks == {"messages": AT}
    await caught_up(ours)
    assert [facts and facts.pupils[0].blocks for facts in map(ours.at_hand, ("mother", "father"))] == [
        {"messages": AT}
    ] * 2
    async with database.begin() as session:
        await service.drop_link(session, "mother", "p")
        await service.remove_account(session, "father")
    await caught_up(ours)
    assert (ours.at_hand("mother"), ours.at_hand("father")) == (AccountFacts("mother"), None)
    assert await ours.account("father") is None


async def test_a_change_that_commits_long_after_later_ones_is_not_missed(machine: Machine, database: Database):
    snapshot, other = machine.process()
    await family(database, "late", "p1")
    await family(database, "early", "p2")
    await caught_up(snapshot)
    async with database.begin() as slow:
        await service.end_grants(slow, "sub_p1", AT, "refunded")
        for _ in range(3):
            async with other.begin() as quick:
                await service.move_end(quick, "sub_p2", AT + timedelta(1), bound=True)
            await caught_up(snapshot)
        late = snapshot.at_hand("late")
        assert late is not None
        assert late.pupils[0].grants[0].end_reason is None
    await caught_up(snapshot)
    late = snapshot.at_hand("late")
    assert late is not None
    assert late.pupils[0].grants[0].end_reason == "refunded"


async def test_a_feed_that_is_silent_for_a_second_is_not_trusted_and_the_database_answers(
    machine: Machine, database: Database
):
    snapshot, _ = machine.process()
    await family(database, until=AT + timedelta(days=90))
    await caught_up(snapshot)
    assert snapshot.spans_at_hand([b"a"], [b""], ["messages"]) != [NO_SPAN]
    async with database.begin() as session:
        await session.execute(text("lock table entitlement_change in access exclusive mode"))
        await until(lambda: snapshot.at_hand("a") is None, "fell silent", 2.5)
        assert snapshot.spans_at_hand([b"a"], [b""], ["messages"]) == [NO_SPAN]
        assert await snapshot.account("a") == await FactsReader(database).account("a")
        assert await snapshot.accounts(["a", "b"]) == await FactsReader(database).accounts(["a", "b"])
    await until(lambda: snapshot.at_hand("a") is not None, "was heard again")


async def test_a_feed_that_only_brings_faults_costs_trust_and_nothing_else(machine: Machine, database: Database):
    snapshot, _ = machine.process()
    await family(database)
    await caught_up(snapshot)
    async with database.begin() as session:
        await session.execute(text("alter table entitlement_change rename to elsewhere"))
    await until(lambda: snapshot.at_hand("a") is None, "fell silent")
    assert await snapshot.account("a") == await FactsReader(database).account("a")
    async with database.begin() as session:
        await session.execute(text("alter table elsewhere rename to entitlement_change"))
        await service.end_grants(session, "sub_p", AT, "refunded")
    await until(lambda: snapshot.at_hand("a") is not None, "was heard again")
    facts = snapshot.at_hand("a")
    assert facts is not None
    assert facts.pupils[0].grants[0].end_reason == "refunded"


async def test_asking_strongly_never_looks_into_the_snapshot(machine: Machine, database: Database, tmp_path: Path):
    feeding, _ = machine.process()
    cut_off, _ = machine.process(NOWHERE)
    await family(database)
    await caught_up(feeding)
    assert (await cut_off.account("a")) is not None
    for asking in (cut_off.account("a", strong=True), cut_off.accounts(["a"], strong=True), cut_off.account("b")):
        with pytest.raises(Unavailable):
            await asking


async def test_with_the_database_gone_the_last_that_was_known_is_told_as_stale_and_nothing_is_made_up(
    machine: Machine, database: Database
):
    feeding, _ = machine.process()
    cut_off, _ = machine.process(NOWHERE)
    await family(database)
    await caught_up(feeding)
    live = cut_off.at_hand("a")
    assert live is not None
    assert not live.stale
    await feeding.close()
    await until(lambda: cut_off.at_hand("a") is None, "fell silent", 2.5)
    last = await cut_off.account("a")
    assert last == AccountFacts("a", live.pupils, stale=True)
    assert await cut_off.accounts(["a"]) == {"a": last}
    for asking in (cut_off.account("b"), cut_off.accounts(["b", "c"]), cut_off.accounts(["a"], strong=True)):
        with pytest.raises(Unavailable):
            await asking
    known = await cut_off.accounts(["a", "b"])
    assert known["a"] == last
    with pytest.raises(Unavailable):
        known["b"].of(None)
    again, _ = machine.process()
    await until(lambda: again.at_hand("a") is not None, "took over")
    assert cut_off.at_hand("a") == live


WRITER = """
    import asyncio, sys
    from billing.kernel.db import Database
    from entitlements.reader import FactsReader
    from entitlements.snapshot.front import Snapshot

    async def main():
        database = Database(sys.argv[1])
        Snapshot(FactsReader(database), database, sys.argv[2]).open()
        await asyncio.sleep(600)

    asyncio.run(main())
"""


async def test_when_the_writer_is_killed_another_process_takes_over_and_misses_nothing(
    machine: Machine, database: Database
):
    command = [sys.executable, "-c", dedent(WRITER), machine.url, str(machine.folder)]
    with subprocess.Popen(command, env=environment()) as writer:  # noqa: ASYNC220 - it is only begun here
        try:
            await until((machine.folder / "shelf.1").exists, "wrote")
            snapshot, _ = machine.process()
            await family(database)
            await caught_up(snapshot)
            assert snapshot.generation == 1
            assert snapshot.at_hand("a") is not None
            writer.send_signal(signal.SIGKILL)
            async with database.begin() as session:
                await service.end_grants(session, "sub_p", AT, "disputed")
        finally:
            writer.kill()
    await until(lambda: snapshot.generation == 2, "took over")
    await caught_up(snapshot)
    facts = snapshot.at_hand("a")
    assert facts is not None
    assert facts.pupils[0].grants[0].end_reason == "disputed"
