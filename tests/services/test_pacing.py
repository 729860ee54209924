"""A crowd of letters to one mail provider goes at the pace it takes kindly; nobody else waits behind it (R27, F47)."""

from datetime import datetime, timedelta
from itertools import pairwise

from tests.services.house import House
from tests.services.letters import TELLING, ready, states

CROWD = ("anna", "beata", "celina", "dorota", "ewa")


async def _sent(house: House) -> dict[str, datetime]:
    rows = await house.rows("select account, handed_over_at from letter where kind = 'trial_ending'")
    return dict(tuple(row) for row in rows)


async def test_r27_letters_to_one_domain_leave_thirty_seconds_apart_when_two_a_minute_may(house: House) -> None:
    house.use_mailer(house.smtp(), per_minute=2)
    await house.family("zofia", "zofia-p1", email="zofia@inna.example")
    await ready(house, *CROWD)
    await house.advance(TELLING + timedelta(minutes=10))
    sent = await _sent(house)
    assert sent["zofia"] == TELLING, "another domain waits for nobody (F47)"
    crowd = sorted(sent[account] for account in CROWD)
    assert crowd[0] == TELLING
    gaps = [later - earlier for earlier, later in pairwise(crowd[1:])]
    assert gaps == [timedelta(seconds=30)] * 3
    assert len(house.letters()) == 6, "each was sent once"


async def test_r27_who_registers_while_a_crowd_waits_is_written_to_at_once(house: House) -> None:
    house.use_mailer(house.smtp(), per_minute=1)
    await ready(house, *CROWD)
    await house.advance(TELLING + timedelta(seconds=30))
    assert [state for _, state, _ in await states(house)].count("planned") == len(CROWD) - 1
    await house.register("nowa", email_confirmed=False)
    await house.settle()
    assert len(house.letters("nowa")) == 1


async def test_r27_a_crowd_that_does_not_fit_into_the_day_goes_on_in_the_morning_and_never_at_night(
    house: House,
) -> None:
    house.use_mailer(house.smtp(), per_minute=1)
    await ready(house, *CROWD)
    evening = TELLING.replace(hour=17, minute=58)  # 19:58 in Warsaw
    house.stand_at(evening)
    await house.advance(evening + timedelta(hours=14))
    sent = sorted((await _sent(house)).values())
    night = [at for at in sent if evening + timedelta(minutes=2) <= at < TELLING + timedelta(days=1)]
    assert night == []
    assert sent[-1] >= TELLING + timedelta(days=1)
    assert len(house.letters()) == len(CROWD)
