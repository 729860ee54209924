"""How long the books are kept (R89)."""
# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and a zone apart

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.privacy.rules import kept_until

WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.mark.parametrize(
    ("sold", "kept"),
    [
        ("2026-01-01T00:00:00+01:00", date(2032, 12, 31)),
        ("2026-12-31T23:30:00+01:00", date(2032, 12, 31)),
        ("2026-12-31T23:30:00+00:00", date(2033, 12, 31)),
        ("2028-02-29T12:00:00+01:00", date(2034, 12, 31)),
    ],
)
def test_r89_a_sale_is_kept_to_the_end_of_the_fifth_year_after_its_income_tax_fell_due(sold: str, kept: date) -> None:
    assert kept_until(datetime.fromisoformat(sold)) == kept


@given(st.datetimes(datetime(2026, 1, 1), datetime(2099, 1, 1), timezones=st.just(WARSAW)))
def test_r89_it_is_always_a_last_of_december_six_warsaw_years_on(sold: datetime) -> None:
    kept = kept_until(sold)
    assert (kept.month, kept.day, kept.year - sold.year) == (12, 31, 6)
