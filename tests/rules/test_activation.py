"""How long a link lives (R32)."""
# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and a zone apart

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.activation.rules import expires_at

WARSAW = ZoneInfo("Europe/Warsaw")
FIRST, LAST = date(2026, 1, 1), date(2037, 12, 31)


def warsaw(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=WARSAW)


@pytest.mark.parametrize(
    ("made", "last_moment", "first_after"),
    [
        ("2026-11-21T10:00", "2026-12-05T23:59:59.999999", "2026-12-06T00:00"),
        ("2026-11-21T00:00", "2026-12-05T23:59:59.999999", "2026-12-06T00:00"),
        ("2026-11-21T23:59:59.999999", "2026-12-05T23:59:59.999999", "2026-12-06T00:00"),
        ("2027-03-14T12:00", "2027-03-28T23:59:59.999999", "2027-03-29T00:00"),
        ("2027-10-17T12:00", "2027-10-31T23:59:59.999999", "2027-11-01T00:00"),
        ("2028-02-15T12:00", "2028-02-29T23:59:59.999999", "2028-03-01T00:00"),
    ],
)
def test_r32_a_link_is_good_to_the_end_of_its_fourteenth_day_and_not_a_moment_longer(
    made: str, last_moment: str, first_after: str
) -> None:
    end = expires_at(warsaw(made), 14)
    assert warsaw(last_moment) < end
    assert end == warsaw(first_after)


def test_r32_on_every_day_of_twelve_years_a_link_ends_at_a_warsaw_midnight() -> None:
    for number in range((LAST - FIRST).days + 1):
        on = FIRST + timedelta(days=number)
        made = datetime(on.year, on.month, on.day, 23, 59, tzinfo=WARSAW)
        end = expires_at(made, 14).astimezone(WARSAW)
        assert (end.date() - on, end.hour, end.minute) == (timedelta(days=15), 0, 0), on


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2037, 1, 1), timezones=st.just(WARSAW)),
    st.integers(1, 90),
    st.dates(FIRST, LAST),
)
def test_r32_a_link_outlives_the_trial_by_its_full_life(made: datetime, life: int, reverts: date) -> None:
    end = expires_at(made, life, reverts)
    assert end >= expires_at(made, life)
    assert end == expires_at(made, life) or end.astimezone(WARSAW).date() == reverts + timedelta(days=life + 1)
    assert end.astimezone(WARSAW).date() > reverts
