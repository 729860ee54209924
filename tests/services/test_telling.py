"""Random histories of families, parents, mail servers and time: nobody is told twice, nobody falls back untold."""

from datetime import timedelta

import pytest

from tests.services.conftest import MakeHouse
from tests.services.invariants import check
from tests.services.telling import Village

FAMILIES = 50


async def live(houses: MakeHouse, seed: int, steps: int, families: int = FAMILIES) -> None:
    village = Village(await houses(), seed, families)
    await village.found()
    for _ in range(steps):
        await village.step()
    village.house.misbehave()
    await village.house.advance(village.house.now + timedelta(days=20))
    await village.check()
    await check(village.house, had_doubts=True)


@pytest.mark.slow
async def test_i18_i19_i20_ten_families_are_told_once_in_time_and_never_against_the_truth(houses: MakeHouse) -> None:
    await live(houses, seed=1, steps=10, families=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_i18_i19_i20_fifty_families_are_told_once_in_time(houses: MakeHouse) -> None:
    await live(houses, seed=100, steps=30)
