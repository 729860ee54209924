"""The machine's folder, and a shelf that grows: one writer, nobody else's files, nothing missed (I05, I07, F20)."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from datetime import datetime
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import text

from billing.kernel.clock import ticks
from billing.kernel.db import Database
from entitlements import service
from entitlements.reader import FactsReader
from entitlements.snapshot.feed import KEPT, Feed, Gap
from entitlements.snapshot.front import Snapshot
from entitlements.snapshot.keeper import Keeper
from entitlements.snapshot.keeping import Keeping
from entitlements.snapshot.place import NotOurs, Place, folder_for, sweep
from entitlements.snapshot.shelf import Shelf
from tests.entitlements.conftest import NOWHERE
from tests.entitlements.doors import settle_town
from tests.entitlements.machines import Machine, caught_up, family, until
from tests.entitlements.test_snapshot_packed import environment

pytestmark = pytest.mark.anyio


def test_one_process_writes_and_when_it_leaves_another_may(tmp_path: Path):
    first, second = Place(tmp_path / "a"), Place(tmp_path / "a")
    assert (first.take(), second.take(), first.take()) == (True, False, True)
    first.leave()
    assert second.take()
    second.close()
    assert first.take()
    first.close()


def test_the_last_process_to_leave_takes_everything_away(tmp_path: Path):
    folder = tmp_path / "a"
    first, second = Place(folder), Place(folder)
    first.take()
    number = first.fresh()
    first.shelf(number).write_bytes(b"x")
    first.present(number)
    first.hear(ticks())
    first.close()
    assert (second.generation, second.heard > 0) == (1, True)
    assert second.shelf(1).exists()
    second.close()
    assert not folder.exists()
    again = Place(folder)
    assert (again.generation, again.heard) == (0, 0)
    again.close()


def test_what_is_not_ours_stays_where_it_is(tmp_path: Path):
    folder = tmp_path / "a"
    folder.mkdir(0o700)
    (folder / "catalog.toml").write_text("ours to keep")
    place = Place(folder)
    place.take()
    place.shelf(place.fresh()).write_bytes(b"x")
    place.close()
    assert [path.name for path in folder.iterdir()] == ["catalog.toml"]


def test_what_killed_processes_left_in_memory_is_swept_away_and_nothing_that_is_used(tmp_path: Path):
    left, used, others = (
        tmp_path / f"billing-{whose}" for whose in (f"{os.geteuid()}-left", f"{os.geteuid()}-used", "x")
    )
    for folder in (left, others):
        folder.mkdir(mode=0o700)
        for name in ("readers", "writer", "page", "shelf.3"):
            (folder / name).write_bytes(b"x")
    place = Place(used)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([used.name, others.name])
    assert used.exists()
    place.close()


def test_an_unfinished_shelf_of_a_killed_writer_is_taken_away_and_the_present_one_is_kept(tmp_path: Path):
    place = Place(tmp_path)
    for number in (1, 2):
        place.shelf(number).write_bytes(b"x")
    place.present(1)
    assert place.fresh() == 2
    assert [path.name for path in sorted(tmp_path.glob("shelf.*"))] == ["shelf.1"]
    place.close()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
async def test_a_folder_that_others_may_enter_is_not_used_and_the_database_answers(
    tmp_path: Path, database: Database, mode: int
):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(NotOurs):
        Place(folder)
    await family(database)
    snapshot = Snapshot(FactsReader(database), database, str(folder))
    snapshot.open()
    assert snapshot.at_hand("a") is None
    assert (await snapshot.account("a")) == await FactsReader(database).account("a")
    await snapshot.close()
    assert list(folder.iterdir()) == []


def test_a_link_that_was_planted_is_not_followed(tmp_path: Path):
    folder, victim = tmp_path / "a", tmp_path / "victim"
    folder.mkdir(mode=0o700)
    victim.write_bytes(b"precious")
    (folder / "page").symlink_to(victim)
    with pytest.raises(OSError, match=r"page"):
        Place(folder)
    assert victim.read_bytes() == b"precious"


def test_each_database_and_user_has_a_folder_of_its_own_in_shared_memory():
    folders = {
        folder_for(Database(url).engine.sync_engine)
        for url in (NOWHERE, NOWHERE + "2", NOWHERE.replace(":9", ":10"), NOWHERE + "?host=/somewhere")
    }
    assert len(folders) == 4
    assert all(folder.name.startswith(f"billing-{os.geteuid()}-") for folder in folders)


_MANY = """
with numbers as (select generate_series(cast(:first as int), cast(:last as int)) as i),
fresh as (insert into entitlement_account select 'm' || i from numbers returning account),
pupils as (insert into entitlement_pupil select 'q' || i, null from numbers)
insert into entitlement_change (account, cause) select account, 'account_added' from fresh
"""
_LINKED = """
insert into entitlement_link
select 'm' || i, 'q' || i, now(), i % 2 = 0 from generate_series(cast(:first as int), cast(:last as int)) i
"""


async def many(database: Database, first: int, last: int) -> None:
    """Accounts m<first> to m<last>, all at once."""
    async with database.begin() as session:
        await session.execute(text(_MANY), {"first": first, "last": last})
        await session.execute(text(_LINKED), {"first": first, "last": last})


async def test_a_shelf_that_grows_too_small_is_copied_to_a_larger_one_and_nothing_is_missed(
    machine: Machine, database: Database
):
    snapshot, _ = machine.process()
    await family(database)
    await caught_up(snapshot)
    # The first ones fit, the next make it tight, then it is overrun.
    for first, last in ((1, 350), (351, 700), (701, 720), (721, 6000), (6001, 6100)):
        await many(database, first, last)
        await caught_up(snapshot)
    await until(lambda: snapshot.generation > 2, "grew")
    await family(database, "b", "late")
    await caught_up(snapshot)
    names = ["a", "b", *(f"m{number}" for number in range(1, 6101))]
    assert {name: snapshot.at_hand(name) for name in names} == await FactsReader(database).accounts(names)
    await until(lambda: len(list(machine.folder.glob("shelf.*"))) == 1, "let go of the old ones")


async def test_what_changes_while_a_shelf_is_copied_is_on_the_new_one_as_well(database: Database, tmp_path: Path):
    place = Place(tmp_path / "snapshot")
    keeping = Keeping(database.engine.sync_engine, place)
    keeping._shelf, keeping._number = Keeper(place.shelf(1), 1000, 1 << 20), 1
    names = [f"m{number}" for number in range(1, 101)]
    await many(database, 1, 100)
    await keeping._apply(set(names))
    keeping._begin_move(keeping._shelf, 0)
    larger = keeping._larger
    assert larger is not None
    keeping._move_some(larger)  # 1000 of its 2112 slots
    async with database.begin() as session:
        await session.execute(text("update entitlement_link set notice_pending = not notice_pending"))
        await session.execute(text("delete from entitlement_link where account = 'm7'"))
        await session.execute(text("delete from entitlement_account where account = 'm7'"))
    await keeping._apply(set(names))
    keeping._move_some(larger)
    keeping._move_some(larger)
    shelf = Shelf(place.shelf(place.generation))
    told = {name: facts for name in names if (facts := shelf.find(name)) is not None}
    assert place.generation == 2
    assert told == await FactsReader(database).accounts(names)
    shelf.close()
    keeping.close()
    place.close()


CRAMPED = """
    import asyncio, resource, sys
    from pathlib import Path
    from billing.kernel import metrics
    from billing.kernel.db import Database
    from entitlements.reader import FactsReader
    from entitlements.snapshot.front import Snapshot

    async def main():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        database = Database(sys.argv[1])
        snapshot = Snapshot(FactsReader(database), database, sys.argv[2])
        snapshot.open()
        while not metrics.SNAPSHOT_FAULTS.collect()[0].samples[0].value:
            await asyncio.sleep(0.01)
        facts = await snapshot.account("a")
        print(snapshot.at_hand("a"), facts.pupils[0].pupil, list(Path(sys.argv[2]).glob("shelf.*")))
        await snapshot.close()
        await database.close()

    asyncio.run(main())
"""


async def test_where_there_is_no_memory_left_the_process_lives_and_the_database_answers(
    machine: Machine, database: Database
):
    await family(database)
    command = [sys.executable, "-c", dedent(CRAMPED), machine.url, str(machine.folder)]
    one = await asyncio.create_subprocess_exec(*command, env=environment(), stdout=PIPE, stderr=PIPE)
    said, faults = await one.communicate()
    assert (one.returncode, faults) == (0, b"")
    assert said.endswith(b"None p []\n")
    assert b"snapshot_memory_full" in said


async def test_a_server_that_is_another_or_earlier_one_or_was_silent_too_long_is_a_gap(database: Database):
    engine = database.engine.sync_engine
    feed = Feed(engine)
    await feed.begin()
    await family(database)
    assert await feed.changed() == {"a"}
    feed.done(ticks())
    assert await feed.changed() == set()
    for spoil in (
        {"_position": "99999999:99999999:"},
        {"_heard": ticks() - KEPT - 1},
        {"_who": "another server"},
    ):
        for name, value in spoil.items():
            setattr(feed, name, value)
        feed.drop()
        with pytest.raises(Gap):
            await feed.changed()
        feed.drop()
        await feed.begin()
    feed.drop()


async def test_what_concerns_one_account_sends_nobody_to_look_at_the_pupils_other_accounts(
    database: Database, at: datetime
):
    await settle_town(database, at)
    feed = Feed(database.engine.sync_engine)
    await feed.begin()
    async with database.begin() as session:
        await service.set_notice_pending(session, "big", ["trial"], pending=False)
    assert await feed.changed() == {"big"}
    feed.done(ticks())
    async with database.begin() as session:
        await service.put_link(session, "empty", "trial", None, at)
    assert await feed.changed() == {"empty"}
    feed.done(ticks())
    async with database.begin() as session:
        await service.end_grants(session, "trial_trial_0", at, "withdrawn")
    assert await feed.changed() == {"big", "empty", "small"}, "a right is everybody's who has the pupil"
    feed.drop()
