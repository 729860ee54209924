"""From the paid event to the right, by the product's clock: a minute at most, and the next answer has it (R58)."""

from datetime import timedelta
from typing import Literal

import pytest

from tests.services.house import House

MINUTE = timedelta(seconds=60)
BEAT = timedelta(seconds=30)
"""So often all works are rung, whatever rings were lost (`billing/worker.py`)."""


async def active(house: House) -> bool:
    return (await house.answer("anna", "p1")).reason == "paid"


@pytest.mark.parametrize("trouble", ["none", "every ring is lost", "stripe is away for 25 seconds"])
async def test_r58_a_right_is_active_within_a_minute_of_the_paid_event_and_in_the_next_answer(
    house: House, trouble: Literal["none", "every ring is lost", "stripe is away for 25 seconds"]
) -> None:
    await house.family("anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await house.settle()
    await house.pay(url)
    assert await house.take_events() > 0
    arrived = house.now
    assert not await active(house)
    if trouble == "every ring is lost":
        house.stand_at(arrived + BEAT)
    elif trouble != "none":
        await house.world.control("faults", {"api": "error_500"})
        await house.advance(arrived + timedelta(seconds=25))
        assert not await active(house)
        await house.world.control("faults", {"api": "normal"})
    while not await active(house) and house.now < arrived + MINUTE:
        following = await house.settle()
        if not await active(house):
            house.stand_at(min(following or arrived + MINUTE, arrived + MINUTE))
    assert await active(house)
    assert house.now - arrived <= MINUTE
    waits = {"none": timedelta(0), "every ring is lost": BEAT}
    assert trouble not in waits or house.now - arrived == waits[trouble], "no other wait is in the way"
    (granted,) = await house.rows("select created_at from entitlement_grant where source = 'paid'")
    assert granted.created_at <= house.now
