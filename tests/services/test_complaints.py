"""The register of complaints: answered in fourteen days on a durable medium, or accepted by law (R80)."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.cases.rules import RULES
from billing.kernel.days import at_hour, day_of, end_of, start_of
from billing.kernel.errors import Conflict, Invalid
from billing.kernel.sealing import NotSealedHere
from billing.withdrawals import complaints
from billing.withdrawals.complaints import Outcome, complaint_id, due_at
from tests.services.house import House, spread
from tests.services.invariants import check

DAYS = st.dates(date(2026, 1, 1), date(2032, 12, 31))
TEXT = "Powiadomienia nie działają od poniedziałku"


async def register(house: House, received_on: date | None = None, **about: Any) -> str:
    secret = house.services.site.secret
    async with house.database.begin() as session:
        row = await complaints.register(
            session, TEXT, received_on or day_of(house.now), "ewa", secret, house.now, **about
        )
        return complaint_id(row)


async def answer(house: House, complaint: str, outcome: Outcome = "refused") -> None:
    text = "Szkoła ją wyłączyła."
    async with house.database.begin() as session:
        await complaints.answer(session, complaint, outcome, text, "jan", house.services.site.secret, house.now)


async def state(house: House) -> list[tuple[Any, ...]]:
    query = (
        "select c.outcome, f.state, f.outcome, f.closed_by from complaint c, finance_case f where f.kind = 'complaint'"
    )
    return spread(await house.rows(query))


async def test_r80_an_answer_in_time_ends_the_complaint_and_goes_out_on_a_durable_medium(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    order = str(await house.one("select order_id from payment"))
    complaint = await register(house, order=order)
    await answer(house, complaint)
    await house.settle()
    assert await state(house) == [("refused", "closed", "refused", "jan")]
    (told,) = await house.rows("select account, state, text from letter where kind = 'complaint_answer'")
    assert tuple(told)[:2] == ("anna", "handed_over")
    assert "Szkoła ją wyłączyła." in told.text
    assert str(await house.one("select number from orders")) in told.text
    with pytest.raises(Conflict):
        await answer(house, complaint, "accepted")
    await check(house)


async def test_r80_on_the_tenth_day_somebody_is_warned_and_after_the_fourteenth_it_is_accepted_by_law(
    house: House,
) -> None:
    await house.register("anna")
    received = day_of(house.now)
    complaint = await register(house, account="anna")
    warned = "select count(*) from audit where action = 'case.warned'"
    await house.advance(start_of(received + timedelta(days=10)) - timedelta(seconds=1))
    assert await house.one(warned) == 0
    await house.advance(start_of(received + timedelta(days=10)))
    assert await house.one(warned) == 1
    await house.advance(end_of(received + timedelta(days=14)) - timedelta(seconds=1))
    assert await state(house) == [(None, "open", None, None)]
    assert await house.one(warned) == 1
    await house.advance(end_of(received + timedelta(days=14)))
    assert await state(house) == [("accepted_by_law", "closed", "accepted_by_law", "system")]
    with pytest.raises(Conflict):
        await answer(house, complaint)
    await check(house)


async def test_r80_an_answer_on_the_first_instant_too_late_is_refused_though_nobody_wrote_the_end_down(
    house: House,
) -> None:
    await house.register("anna")
    complaint = await register(house, account="anna")
    house.stand_at(due_at(day_of(house.now)))
    with pytest.raises(Conflict):
        await answer(house, complaint)


async def test_r80_one_that_came_in_days_ago_by_letter_is_due_by_its_own_day(house: House) -> None:
    await house.register("anna")
    received = day_of(house.now) - timedelta(days=9)
    await register(house, received, account="anna")
    assert await house.one("select due_at from finance_case") == end_of(received + timedelta(days=14))
    with pytest.raises(Invalid):
        await register(house, day_of(house.now) + timedelta(days=1), account="anna")
    with pytest.raises(Invalid):
        await register(house)


async def test_s81_what_was_complained_of_can_be_read_here_only_and_goes_with_the_person(house: House) -> None:
    await house.register("anna")
    complaint = await register(house, account="anna")
    stored = bytes(await house.one("select text from complaint"))
    assert TEXT.encode() not in stored
    async with house.database.begin() as session:
        row = await complaints.find(session, complaint)
        assert complaints.text_of(row, house.services.site.secret) == TEXT
        with pytest.raises(NotSealedHere):
            complaints.text_of(row, "x" * 32)
    await house.erase("anna")
    left = await house.rows("select account, text, answer, received_on is not null from complaint")
    assert spread(left) == [(None, None, None, True)]
    assert await house.one("select account from finance_case") is None


@given(DAYS)
def test_r80_due_is_the_end_of_the_fourteenth_warsaw_day_also_over_a_clock_change(received: date) -> None:
    assert due_at(received) == start_of(received + timedelta(days=15))
    assert day_of(due_at(received) - timedelta(microseconds=1)) == received + timedelta(days=14)


def test_r80_the_warning_of_the_tenth_day_is_five_days_before_the_end_of_the_fourteenth() -> None:
    (before,) = RULES["complaint"].warn_before
    assert due_at(date(2026, 11, 1)) - before == at_hour(date(2026, 11, 11), 0)
