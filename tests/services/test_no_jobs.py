"""Rights end by their dates alone: the scheduler may be dead for months (I05, R20, R131)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.kernel.days import at_hour
from tests.services.house import House

MOMENT = timedelta(microseconds=1)
END_OF_SEASON = datetime(2027, 6, 30, 22, tzinfo=UTC)


async def test_i05_r20_with_no_job_running_a_told_trial_ends_at_its_day_to_the_microsecond(house: House) -> None:
    await house.family("anna", "p1")
    await house.advance(at_hour(date(2026, 9, 22), 8))
    ends = at_hour(date(2026, 10, 1), 0)
    for at, allowed in ((ends - MOMENT, True), (ends, False), (ends + timedelta(days=90), False)):
        house.stand_at(at)
        answer = await house.answer("anna", "p1")
        assert (answer.allowed, answer.reason) == (allowed, "trial" if allowed else "trial_ended")
    house.stand_at(ends - timedelta(hours=1))
    assert (await house.answer("anna", "p1")).valid_until == ends


async def test_i05_r131_with_no_job_running_a_pass_ends_with_the_thirtieth_of_june(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    for at, allowed in ((END_OF_SEASON - MOMENT, True), (END_OF_SEASON, False), (END_OF_SEASON + timedelta(9), False)):
        house.stand_at(at)
        answer = await house.answer("anna", "p1")
        assert (answer.allowed, answer.reason) == (allowed, "paid" if allowed else "pass_expired")


async def test_r21_with_no_job_running_from_the_start_nobody_untold_falls_back(house: House) -> None:
    await house.family("anna", "p1")
    for days in (29, 30, 31, 200):
        house.stand_at(datetime(2026, 9, 1, 8, tzinfo=UTC) + timedelta(days=days))
        assert (await house.answer("anna", "p1")).allowed


@pytest.mark.parametrize("gone", [timedelta(hours=1), timedelta(hours=25), timedelta(days=7), timedelta(days=40)])
async def test_f07_whatever_fell_due_while_nobody_worked_is_caught_up_with_and_rights_never_noticed(
    house: House, gone: timedelta
) -> None:
    await house.family("anna", "p1", "p2")
    await house.buy("anna", "p1")
    await house.advance(at_hour(date(2026, 9, 20), 12))
    house.stand_at(house.now + gone)
    await house.settle()
    await house.advance(house.now + timedelta(days=25))
    trial = (await house.rows("select reverts_on, bound_at, told_by from trial where pupil = 'p2'"))[0]
    assert trial.bound_at is not None
    assert trial.bound_at < trial.told_by
    (told,) = [letter for letter in house.letters("anna") if letter.subject.startswith("Od ")]
    assert 8 <= datetime.fromisoformat(told.sent_at).astimezone(at_hour(date(2026, 9, 1), 0).tzinfo).hour + 2 < 20
    assert (await house.answer("anna", "p1")).reason == "paid"


async def test_i05_writing_down_that_a_pass_has_ended_changes_no_answer(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    house.stand_at(END_OF_SEASON + timedelta(hours=5))
    before = await house.answer("anna", "p1")
    await house.settle()
    assert await house.rows("select state from subscription") == [("ended",)]
    assert await house.answer("anna", "p1") == before
