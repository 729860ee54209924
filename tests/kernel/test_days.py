"""Days are Warsaw days, instants are UTC (R128)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.days import (
    at_hour,
    day_of,
    end_of,
    is_working_day,
    iso,
    last_day_of_term,
    next_opening,
    start_of,
    within_hours,
)

DAYS = st.dates(date(2024, 1, 1), date(2040, 12, 31))
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2040, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("contract", "last"),
    [("2026-09-01", "2026-09-15"), ("2026-10-28", "2026-11-12"), ("2026-11-21", "2026-12-07"),
     ("2026-12-10", "2026-12-28"), ("2026-12-11", "2026-12-28"), ("2026-12-12", "2026-12-28"),
     ("2026-12-18", "2027-01-04"), ("2027-03-14", "2027-03-30")],
)  # fmt: skip
def test_the_withdrawal_period_ends_on_the_golden_days(contract: str, last: str) -> None:
    """R72: neither Saturday, Sunday nor holiday; Christmas Eve is a holiday since 2025."""
    assert last_day_of_term(date.fromisoformat(contract), 14) == date.fromisoformat(last)


@given(DAYS, st.integers(1, 60))
def test_a_term_is_never_shorter_and_ends_on_a_working_day(contract: date, days: int) -> None:
    last = last_day_of_term(contract, days)
    assert is_working_day(last)
    assert contract + timedelta(days=days) <= last <= contract + timedelta(days=days + 5)
    between = (contract + timedelta(days=days + n) for n in range((last - contract).days - days))
    assert not any(is_working_day(day) for day in between)


@pytest.mark.parametrize(
    ("day", "instant"),
    [("2026-11-30", "2026-11-29T23:00Z"), ("2027-03-28", "2027-03-27T23:00Z"), ("2027-03-29", "2027-03-28T22:00Z"),
     ("2027-07-01", "2027-06-30T22:00Z")],
)  # fmt: skip
def test_a_warsaw_day_begins_at_the_golden_instant(day: str, instant: str) -> None:
    assert start_of(date.fromisoformat(day)) == utc(instant)


def test_half_past_midnight_of_the_new_year_belongs_to_the_new_year() -> None:
    assert day_of(utc("2026-12-31T23:30Z")) == date(2027, 1, 1)
    assert day_of(utc("2026-12-31T22:59:59.999999Z")) == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 10, 25), 25), (date(2027, 3, 28), 23), (date(2027, 10, 31), 25), (date(2028, 2, 29), 24)],
)
def test_days_of_the_clock_changes_have_23_and_25_hours(day: date, hours: int) -> None:
    assert end_of(day) - start_of(day) == hours * HOUR


@given(DAYS)
def test_days_follow_each_other_without_gap_or_overlap(day: date) -> None:
    assert end_of(day) == start_of(day + timedelta(days=1))
    assert (day_of(start_of(day)), day_of(end_of(day) - timedelta(microseconds=1))) == (day, day)
    assert start_of(day).utcoffset() == timedelta(0)


@given(INSTANTS)
def test_every_instant_lies_within_its_day(at: datetime) -> None:
    assert start_of(day_of(at)) <= at < end_of(day_of(at))


def test_eight_in_the_morning_is_eight_on_both_sides_of_a_clock_change() -> None:
    assert at_hour(date(2027, 3, 27), 8) == utc("2027-03-27T07:00Z")
    assert at_hour(date(2027, 3, 28), 8) == utc("2027-03-28T06:00Z")
    assert at_hour(date(2027, 10, 31), 8) == utc("2027-10-31T07:00Z")


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2027, 10, 31), date(2026, 11, 30)])
def test_office_hours_hold_for_every_minute_of_a_day(day: date) -> None:
    """R27: eight to eight by the wall clock, on days of 23, 24 and 25 hours."""
    minutes = int((end_of(day) - start_of(day)) / timedelta(minutes=1))
    inside = [within_hours(start_of(day) + timedelta(minutes=n), 8, 20) for n in range(minutes)]
    assert sum(inside) == 12 * 60
    assert inside[inside.index(True) :].index(False) == 12 * 60


@given(INSTANTS, st.integers(0, 22), st.integers(1, 23))
def test_the_next_opening_is_the_nearest_instant_inside_the_hours(at: datetime, first: int, length: int) -> None:
    last = min(first + length, 24)
    opening = next_opening(at, first, last)
    assert within_hours(opening, first, last)
    assert timedelta(0) <= opening - at <= 25 * HOUR
    if opening != at:
        assert not within_hours(at, first, last)
        assert not within_hours(opening - timedelta(microseconds=1), first, last) or first == 0


def test_a_letter_of_the_evening_waits_for_the_morning() -> None:
    assert next_opening(utc("2026-10-24T18:00Z"), 8, 20) == utc("2026-10-25T07:00Z")
    assert next_opening(utc("2026-10-24T17:59:59Z"), 8, 20) == utc("2026-10-24T17:59:59Z")
    assert next_opening(utc("2026-10-25T00:30Z"), 8, 20) == utc("2026-10-25T07:00Z")


def test_instants_are_told_in_utc_with_z() -> None:
    assert iso(utc("2026-09-01T10:00+02:00")) == "2026-09-01T08:00:00Z"
    assert iso(utc("2026-09-01T10:00:00.5+02:00")) == "2026-09-01T08:00:00.500000Z"


@given(INSTANTS)
def test_what_is_told_is_read_back_the_same(at: datetime) -> None:
    assert datetime.fromisoformat(iso(at)) == at
