"""Whoever waits for a letter waits for no crowd, whatever of it is due, by day and by night (R27, R46)."""

from datetime import timedelta

import pytest

from billing.notices.sending import BATCH
from tests.services.house import House
from tests.services.letters import TELLING, ready

CROWD = 3 * BATCH
_PLANNED = "select count(*) from letter where state = 'planned' and kind = 'trial_ending' and due_at <= :at"


async def crowded(house: House) -> None:
    """One family's letter is due, and those of very many others at the same provider."""
    house.use_mailer(house.smtp(), per_minute=1)
    await ready(house, "anna")
    await house.settle(without={"letters.send"})
    await house.rows_changed(
        """insert into letter select (jsonb_populate_record(l, jsonb_build_object('id', gen_random_uuid(), 'about',
        'other ' || n))).* from letter l, generate_series(1, :many) n where l.kind = 'trial_ending'""",
        many=CROWD - 1,
    )


async def ring(house: House) -> int:
    """As a worker answers a ring: batch after batch, until one finds nothing to look at."""
    send = next(work for work in house.works if work.name == "letters.send")
    looks = 0
    while await send.run(house.now):
        looks += 1
        assert looks < 100, "it ends"
    return looks


async def test_r27_one_ring_looks_at_a_whole_crowd_and_who_registers_then_is_written_to_at_the_next(
    house: House,
) -> None:
    await crowded(house)
    assert await house.one(_PLANNED, at=house.now) == CROWD
    assert await ring(house) >= CROWD // BATCH
    assert await house.one(_PLANNED, at=house.now) == 0, "each has its slot"
    house.stand_at(house.now + timedelta(hours=3))
    assert await house.one(_PLANNED, at=house.now) > BATCH, "many slots have come"
    await house.register("nowa", email_confirmed=False)
    await house.settle(without={"letters.send"})
    send = next(work for work in house.works if work.name == "letters.send")
    assert await send.run(house.now)
    assert len(house.letters("nowa")) == 1, "hers is in the first batch"


async def test_r27_at_night_a_crowd_is_put_off_at_once_and_a_confirmation_goes(house: House) -> None:
    await crowded(house)
    night = TELLING.replace(hour=22)
    house.stand_at(night)
    await house.register("nowa", email_confirmed=False)
    await house.settle(without={"letters.send"})
    assert await ring(house) <= 2
    assert len(house.letters("nowa")) == 1
    assert await house.one(_PLANNED, at=night + timedelta(hours=7)) == 0
    assert await house.one(_PLANNED, at=night + timedelta(hours=14)) == CROWD


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("letter where state = 'planned' and kind not in ('season_ending', 'trial_ending')", "ix_letter_awaited"),
        ("letter where state = 'planned' and kind in ('season_ending', 'trial_ending')", "ix_letter_due"),
        ("outbox where state = 'new'", "ix_outbox_due"),
    ],
)
async def test_the_first_of_very_many_that_are_due_at_one_instant_are_found_without_sorting(
    house: House, wanted: str, index: str
) -> None:
    async with house.database.engine.connect() as link:
        await link.exec_driver_sql("set enable_seqscan = off")
        query = f"explain select * from {wanted} and due_at <= now() order by due_at, id limit 20"
        plan = "\n".join(row[0] for row in await link.exec_driver_sql(query))
    assert index in plan
    assert "Sort" not in plan
