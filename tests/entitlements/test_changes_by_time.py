"""What time alone changes is told too, within a minute of the instant, once, whenever the workers slept (R21, R131)."""

from datetime import datetime, timedelta
from random import Random

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.kernel.work import Work
from entitlements import news, service
from entitlements.changes import NUMBER
from entitlements.decision import Decision, decide_all
from entitlements.reader import FactsReader
from entitlements.tasks import works
from tests.entitlements.conftest import FEATURES
from tests.entitlements.following import DAY, SECOND, GivenUp, family, give, give_up, news_of, number

BEAT = timedelta(seconds=30)
MINUTE = timedelta(minutes=1)


def numbering_work(database: Database) -> Work:
    return next(work for work in works(database) if work.name == NUMBER)


async def causes(database: Database, since: int = 0) -> list[tuple[str | None, str]]:
    return [(pupil, cause) for seq, _, pupil, cause in await news_of(database) if seq > since]


async def settled(database: Database, at: datetime, *links: str) -> int:
    """A family, numbered; answers the last number."""
    await family(database, at, *links)
    await number(database, at)
    return len(await news_of(database))


async def test_a_change_by_time_is_told_within_a_minute_though_nobody_rings(database: Database, at: datetime) -> None:
    await settled(database, at, "a1 p1")
    instant = at + timedelta(hours=1, seconds=7)
    async with database.begin() as session:
        await give(session, at, "p1", until=instant)
    work, now, told_at = numbering_work(database), at, None
    while told_at is None:
        now += BEAT  # as beat does, and at no better moment
        await work.run(now)
        if ("p1", "pass_ended") in await causes(database):
            told_at = now
    assert timedelta(0) <= told_at - instant <= timedelta(seconds=60)


async def test_beginnings_and_ends_of_every_source_are_told_at_their_instant_and_once(
    database: Database, at: datetime
) -> None:
    before = await settled(database, at, "a1 p1", "a2 p1")
    async with database.begin() as session:
        await give(session, at, "p1", source="trial", until=at + DAY)
        await give(session, at, "p1", since=at + DAY, until=at + 2 * DAY)
        await give(session, at, "p1", source="grace", since=at + 2 * DAY, until=at + 3 * DAY)
        await give(session, at, "p1", source="sponsored", until=None)
        await service.put_school_blocks(session, "sp5", ["messages"], at + 2 * DAY)
    await number(database, at)
    written = len(await news_of(database))
    for instant in (at + DAY, at + 2 * DAY, at + 3 * DAY):
        await number(database, instant - timedelta(microseconds=1))
        await number(database, instant)
        await number(database, instant + SECOND)
    told = await causes(database, written)
    assert told[::2] == told[1::2], "each of the two accounts hears the same"
    assert sorted(cause for _, cause in told[:4:2]) == ["pass_started", "trial_ended"]
    assert sorted(cause for _, cause in told[4:10:2]) == ["blocked", "grace_started", "pass_ended"]
    assert [cause for _, cause in told[10::2]] == ["grace_ended"]
    assert written - before == 10


async def test_what_was_ended_by_hand_is_told_once_with_its_reason(database: Database, at: datetime) -> None:
    before = await settled(database, at, "a1 p1")
    async with database.begin() as session:
        await give(session, at, "p1")
        await give(session, at, "p1", source="granted")
    await number(database, at)
    async with database.begin() as session:
        await service.end_grants(session, "paid", at + SECOND, "withdrawn")
        await service.end_grants(session, "granted", at + SECOND, None)
        await service.put_school_blocks(session, "sp5", ["messages"], at + SECOND)
    await number(database, at + 2 * SECOND)
    await number(database, at + 5 * DAY)
    told = [cause for _, cause in await causes(database, before + 2)]
    assert told == ["withdrawn", "right_ended", "blocked"]


async def test_a_trial_of_which_nobody_was_told_does_not_end_by_its_plan_r21(database: Database, at: datetime) -> None:
    before = await settled(database, at, "a1 p1")
    async with database.begin() as session:
        await give(session, at, "p1", source="trial", until=at + DAY, bound=False)
    await number(database, at + 2 * DAY)
    async with database.begin() as session:
        await service.move_end(session, "trial", at + 3 * DAY, bound=False)
        await service.bind(session, "trial")
    await number(database, at + 2 * DAY)
    await number(database, at + 4 * DAY)
    told = [cause for _, cause in await causes(database, before)]
    assert told == ["trial_runs_on", "trial_started", "trial_moved", "trial_bound", "trial_ended"]


async def test_a_right_that_never_holds_begins_and_ends_for_nobody(database: Database, at: datetime) -> None:
    before = await settled(database, at, "a1 p1")
    async with database.begin() as session:
        await give(session, at, "p1", since=at + DAY)
        await service.end_grants(session, "paid", at + SECOND, "refunded")
    await number(database, at + 5 * DAY)
    assert [cause for _, cause in await causes(database, before)] == ["right_planned", "refunded"]


async def test_a_crowd_that_ends_at_one_instant_is_told_in_batches_each_once(database: Database, at: datetime) -> None:
    """R135 in small: all trials of a season end at midnight."""
    pupils = [f"p{each:02}" for each in range(23)]
    before = await settled(database, at, *(f"a{pupil} {pupil}" for pupil in pupils))
    async with database.begin() as session:
        for pupil in pupils:
            await give(session, at, pupil, source="trial", until=at + DAY)
            await give(session, at, pupil, since=at + DAY)
    await number(database, at)
    assert await number(database, at + DAY, most=4) == 46
    told = await causes(database, before + 46)
    assert len(told) == 46
    assert set(told) == {(pupil, cause) for pupil in pupils for cause in ("trial_ended", "pass_started")}
    assert await number(database, at + DAY + SECOND, most=4) == 0


async def test_a_clock_that_was_set_back_tells_nothing_twice(database: Database, at: datetime) -> None:
    before = await settled(database, at, "a1 p1")
    async with database.begin() as session:
        await give(session, at, "p1", until=at + DAY)
    for now in (at, at + 2 * DAY, at, at + DAY, at + 3 * DAY):
        await number(database, now)
    assert [cause for _, cause in await causes(database, before)] == ["pass_started", "pass_ended"]


ACCOUNTS, PUPILS, SCHOOLS = ("a1", "a2", "a3"), ("p1", "p2", "p3"), ("s1", "s2")


async def _act(session: AsyncSession, random: Random, at: datetime) -> None:
    """One random write of whatever kind."""
    account, pupil, school = random.choice(ACCOUNTS), random.choice(PUPILS), random.choice(SCHOOLS)
    origin = random.choice(("trl_1", "sub_1", "spn_1"))
    until = at + random.randint(0, 300) * MINUTE
    kind = max(0, random.randrange(-8, 12)) if random.random() < 0.7 else 2
    if kind <= 1:
        await service.put_account(session, account)
        await service.put_link(session, account, pupil, random.choice((None, school)), at)
    elif kind <= 3:
        source = {"trl_1": "trial", "sub_1": random.choice(("paid", "grace")), "spn_1": "sponsored"}[origin]
        bound = source != "trial" or random.random() < 0.5
        features = random.sample(sorted(FEATURES.add_ons), 2)
        since = at + random.choice((-60, 0, 0, 45)) * MINUTE
        await give(session, at, pupil, source=source, origin=origin, features=features, since=since, bound=bound,
                   until=max(since, until))  # fmt: skip
    elif kind == 4:
        await service.move_end(session, "trl_1", at + 300 * MINUTE, bound=random.random() < 0.5)
    elif kind == 5:
        await service.bind(session, "trl_1")
    elif kind == 6:
        await service.end_grants(
            session, origin, at, random.choice((None, "refunded")), pupil=random.choice((None, pupil))
        )
    elif kind == 7:
        await service.put_school_blocks(
            session, school, random.sample(sorted(FEATURES.add_ons), random.randint(0, 2)), at
        )
    elif kind == 8:
        await service.set_notice_pending(session, account, [pupil], pending=random.random() < 0.5)
    elif kind == 9:
        await service.drop_link(session, account, pupil)
    elif kind == 10:
        await service.remove_grants(session, origin)
    else:
        await service.remove_account(session, account)


Told = dict[tuple[str, str], tuple[Decision, ...]]


async def _answers(facts: FactsReader, at: datetime) -> Told:
    """All answers of now. `valid_until` apart: it tells of the future, and moves with every write."""
    known = await facts.accounts(ACCOUNTS)
    return {
        (account, each.pupil): tuple(
            replace(one, valid_until=None) for one in decide_all(FEATURES, each, "mobile", at, at)
        )
        for account, found in known.items()
        for each in found.pupils
    }


@pytest.mark.parametrize("seed", range(3))
async def test_no_answer_ever_changes_without_news_of_it(database: Database, at: datetime, seed: int) -> None:
    """Random writes, some rolled back, random steps of time: whoever follows the news keeps true answers."""
    random, facts, now, seq = Random(seed), FactsReader(database), at, 0
    async with database.begin() as session:
        await news.reading(session, now)
    before: Told = {}
    for _ in range(30):
        for _ in range(random.randint(0, 4)):
            try:
                async with database.begin() as session:
                    await _act(session, random, now)
                    if random.random() < 0.1:
                        await give_up()
            except GivenUp:
                pass
        now += random.choice((0, 1, 10, 90)) * MINUTE
        await number(database, now, most=random.randint(1, 4))
        fresh = [each for each in await news_of(database) if each[0] > seq]
        assert [each[0] for each in fresh] == list(range(seq + 1, seq + 1 + len(fresh)))
        seq += len(fresh)
        told = {(account, pupil) for _, account, pupil, _ in fresh}
        answers = await _answers(facts, now)
        differ = {key for key in before.keys() | answers.keys() if before.get(key) != answers.get(key)}
        assert [key for key in sorted(differ) if key not in told and (key[0], None) not in told] == []
        before = answers
    assert seq > 60, "much happened"
