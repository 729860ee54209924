"""What an account may be and do (R26, R47, R90)."""
# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and a zone apart

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.accounts import rules

WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.mark.parametrize(
    "text",
    [
        "anna@example.pl",
        "a.b+c@sub.example.co",
        "x@xn--d1acufc.example",
        "UPPER@EXAMPLE.PL",
        "a@żółw.example",
        "o'n@x.pl",
    ],
)
def test_addresses_that_may_be_written_to(text: str) -> None:
    assert rules.is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "a@", "@b.pl", "a b@c.pl", "a@b c.pl", "a@b.pl\r\nBcc: x@y.pl", "a@b.pl\n", "a,b@c.pl", "a@b@c.pl",
        "<a@b.pl>", "a@b.pl>", "Anna <a@b.pl>", "a;b@c.pl", "a@[127.0.0.1]", '"a"@b.pl', "a\\b@c.pl", "a\x00@b.pl",
        "a@b.pl\x7f", "zażółć@b.pl", "a@-b.pl", "a@b.pl-", "a@.pl", "a@b..pl", "a@b.pl\u200b", "a" * 250 + "@b.pl",
    ],
)  # fmt: skip
def test_f45_addresses_that_could_break_a_letter_are_refused(text: str) -> None:
    assert not rules.is_address(text)


@given(st.text(max_size=300))
def test_f45_whatever_is_taken_for_an_address_fits_into_one_header_line(text: str) -> None:
    if rules.is_address(text):
        assert text.count("@") == 1
        assert len(text) <= 254
        assert text.isprintable()
        assert not set(text) & set(' \r\n\t<>,;:\\"()[]')


@given(st.text(max_size=20), st.none() | st.text(max_size=20))
def test_every_wrong_address_is_named_where_it_stands(email: str, guardian: str | None) -> None:
    faults = rules.address_faults(email, guardian)
    pointers = [fault.pointer for fault in faults]
    assert ("/email" in pointers) == (not rules.is_address(email))
    assert ("/guardian_email" in pointers) == (guardian is not None and not rules.is_address(guardian))


@pytest.mark.parametrize(
    ("age_band", "may"), [("adult", True), ("13_17", False), ("under_13", False), (None, False), ("unknown", False)]
)
def test_r47_only_an_adult_may_order_and_an_unknown_age_counts_as_a_child(age_band: str | None, may: bool) -> None:
    assert rules.may_order(age_band) is may


@given(st.datetimes(datetime(2026, 1, 1), datetime(2037, 1, 1), timezones=st.just(WARSAW)))
def test_r90_there_are_fourteen_whole_warsaw_days_to_confirm_after_the_day_of_registration(at: datetime) -> None:
    end = rules.confirm_by(at).astimezone(WARSAW)
    assert end.date() - at.date() == timedelta(days=15)
    assert (end.hour, end.minute, end.second, end.microsecond) == (0, 0, 0, 0)
