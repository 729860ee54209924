"""Looks that are made by themselves: every hour while anything happens, every night in any case, once each (R56, I23),
and told of by metrics and readiness (R138)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from billing import health
from billing.kernel.days import at_hour, day_of
from billing.kernel.work import Work
from billing.reconciliation import runs
from billing.reconciliation.rules import RECENT
from billing.reconciliation.tasks import NIGHTLY, told_alive
from billing.reconciliation.tasks import RECENT as HOURLY
from tests.reconciliation.looking import open_cases, payment_of, refund_by_hand, silence
from tests.services.house import House

OTHERS = frozenset({"checkout.sweep", "webhooks.catch_up"})


def work(house: House, name: str) -> Work:
    return next(each for each in house.works if each.name == name)


async def due(house: House, name: str) -> Any:
    async with house.database.begin() as session:
        return await work(house, name).next_due(session)


async def looks(house: House) -> list[tuple[str, str, int]]:
    rows = await house.rows("select kind, state, count(*) as count from reconciliation_run group by 1, 2 order by 1, 2")
    return [tuple(row) for row in rows]


async def test_before_anything_was_asked_of_stripe_there_is_nothing_to_look_at(house: House) -> None:
    assert (await due(house, HOURLY), await due(house, NIGHTLY)) == (None, None)
    await house.advance(house.now + timedelta(days=2))
    assert await looks(house) == []


async def test_r56_f34_within_the_hour_a_silent_payment_is_found_with_no_event_and_no_sweep(house: House) -> None:
    await silence(house)
    await house.family("anna", "p1")
    await house.pay(await house.click(await house.token("anna", "p1")))
    assert await due(house, HOURLY) == house.now + timedelta(hours=1)
    await house.advance(house.now + timedelta(hours=1), without=OTHERS)
    assert (await house.answer("anna", "p1")).reason == "paid"
    assert await looks(house) == [("recent", "done", 1)]


async def test_what_is_young_is_left_to_its_event_and_found_an_hour_later(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1", method="card")
    await silence(house)
    await house.advance(house.now + timedelta(minutes=59))
    await refund_by_hand(house, (await payment_of(house, "anna")).charge)
    await house.advance(house.now + timedelta(minutes=5), without=OTHERS)
    assert (await looks(house), await open_cases(house)) == ([("recent", "done", 1)], [])
    await house.advance(house.now + timedelta(hours=1), without=OTHERS)
    assert len(await open_cases(house)) == 1


async def test_when_all_is_quiet_the_nights_are_enough_and_each_has_one_look_whoever_asks(house: House) -> None:
    await house.family("anna", "p1")
    await house.click(await house.token("anna", "p1"))
    asked = house.now
    await house.advance(asked + timedelta(days=4), without=OTHERS)
    found = {kind: count for kind, _, count in await looks(house)}
    assert found["nightly"] == 4
    assert found["recent"] <= 26
    assert await due(house, HOURLY) is None
    night = at_hour(day_of(house.now) + timedelta(days=1), runs.NIGHT)
    assert await due(house, NIGHTLY) == night
    house.stand_at(night)
    ran = await asyncio.gather(*(work(house, NIGHTLY).run(house.now) for _ in range(4)))
    assert sorted(ran) == [0, 0, 0, 1], "three beats and a doubled ring"
    assert await due(house, NIGHTLY) == night + timedelta(days=1)


async def test_after_five_weeks_of_silence_a_look_a_week_is_enough_until_something_is_asked_again(house: House) -> None:
    await house.family("anna", "p1")
    await house.click(await house.token("anna", "p1"))
    house.stand_at(house.now + timedelta(days=36))
    assert await work(house, NIGHTLY).run(house.now) == 1
    assert await due(house, NIGHTLY) == at_hour(day_of(house.now) + timedelta(days=7), runs.NIGHT)
    await house.family("jan", "p2")
    await house.click(await house.token("jan", "p2"))
    assert await due(house, NIGHTLY) == at_hour(day_of(house.now) + timedelta(days=1), runs.NIGHT)


async def test_a_look_that_takes_long_is_not_begun_again_beside_itself_i23(house: House) -> None:
    async with house.database.begin() as session:
        begun = await runs.begin(session, "recent", house.now - RECENT, house.now)
    async with told_alive(house.database, begun, timedelta(seconds=0.05)):
        await asyncio.sleep(0.3)
        assert await due(house, HOURLY) > house.now + runs.LEASE
        assert await work(house, HOURLY).run(house.now + runs.LEASE) == 0
    last = await due(house, HOURLY)
    await asyncio.sleep(0.3)
    assert await due(house, HOURLY) == last, "its worker is gone"
    house.stand_at(last)
    assert await work(house, HOURLY).run(house.now) == 1
    assert await looks(house) == [("recent", "done", 1), ("recent", "failed", 1)]


async def test_a_look_that_died_or_found_nobody_is_made_again_and_none_of_the_time_is_forgotten(house: House) -> None:
    await house.family("anna", "p1")
    await house.click(await house.token("anna", "p1"))
    async with house.database.begin() as session:
        await runs.begin(session, "recent", house.now - RECENT, house.now)
    died = house.now
    assert await due(house, HOURLY) == died + runs.LEASE
    house.stand_at(died + runs.LEASE)
    await house.world.control("faults", {"api": "error_500"})
    assert await work(house, HOURLY).run(house.now) == 0
    assert await looks(house) == [("recent", "failed", 2)]
    assert await due(house, HOURLY) == house.now + runs.AGAIN
    await house.world.control("faults", {"api": "normal"})
    house.stand_at(house.now + timedelta(days=50))
    assert await work(house, NIGHTLY).run(house.now) == 1
    house.stand_at(house.now + timedelta(days=50))
    async with house.database.begin() as session:
        begun = await runs.begin_due(session, "nightly", house.now)
    assert begun is not None
    assert begun.since == house.now - timedelta(days=51), "back to before the last good look, however long ago"


async def test_r138_how_long_ago_the_last_good_look_was_is_told(house: House) -> None:
    async def told() -> float | None:
        async with house.database.begin() as session:
            return await health.reconciled(session, house.now)

    assert await told() is None
    await house.family("anna", "p1")
    await house.click(await house.token("anna", "p1"))
    house.stand_at(house.now + timedelta(minutes=30))
    assert await told() == pytest.approx(1800)
    house.stand_at(house.now + timedelta(minutes=30))
    assert await work(house, HOURLY).run(house.now) == 1
    assert await told() == 0
    house.stand_at(house.now + timedelta(minutes=10))
    assert await told() == 600
    assert next(iter(health.metrics.RECONCILED.collect())).samples[0].value == 600
