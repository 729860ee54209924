"""Moving the sandbox's clock: durations on the calendar of Warsaw, through both clock changes (contract 8, R128)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.days import iso
from billing.kernel.errors import Malformed
from billing.sandbox.moves import ClockBackwards, after, instant, target


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "duration", "end"),
    [
        ("2026-11-18T10:00:00Z", "P12D", "2026-11-30T10:00:00Z"),
        ("2026-11-18T10:00:00Z", "PT1H", "2026-11-18T11:00:00Z"),
        ("2026-11-18T10:00:00Z", "PT36H", "2026-11-19T22:00:00Z"),
        ("2026-11-18T10:00:00Z", "PT90M", "2026-11-18T11:30:00Z"),
        ("2026-11-18T10:00:00Z", "PT0.5S", "2026-11-18T10:00:00.500000Z"),
        ("2026-11-18T10:00:00Z", "PT0,25S", "2026-11-18T10:00:00.250000Z"),
        ("2026-11-18T10:00:00Z", "P1W", "2026-11-25T10:00:00Z"),
        ("2026-11-18T10:00:00Z", "P1Y", "2027-11-18T10:00:00Z"),
        ("2026-11-18T10:00:00Z", "P2M", "2027-01-18T10:00:00Z"),
        ("2026-11-18T10:00:00Z", "P1Y2M1W3DT4H5M6S", "2028-01-28T14:05:06Z"),
        ("2026-11-18T10:00:00Z", "P0D", "2026-11-18T10:00:00Z"),
        ("2027-01-31T12:00:00Z", "P1M", "2027-02-28T12:00:00Z"),
        ("2028-02-29T12:00:00Z", "P1Y", "2029-02-28T12:00:00Z"),
        ("2026-12-31T23:30:00Z", "P1M", "2027-01-31T23:30:00Z"),
        # Spring: 2027-03-28, 02:00 becomes 03:00. A day has 23 hours, a wall time may not exist.
        ("2027-03-27T11:00:00Z", "P1D", "2027-03-28T10:00:00Z"),
        ("2027-03-27T11:00:00Z", "PT24H", "2027-03-28T11:00:00Z"),
        ("2027-03-27T23:00:00Z", "P1D", "2027-03-28T22:00:00Z"),
        ("2027-03-27T01:30:00Z", "P1D", "2027-03-28T01:30:00Z"),
        ("2027-02-28T01:30:00Z", "P1M", "2027-03-28T01:30:00Z"),
        # Autumn: 2026-10-25, 03:00 becomes 02:00. A day has 25 hours, a wall time may come twice.
        ("2026-10-24T10:00:00Z", "P1D", "2026-10-25T11:00:00Z"),
        ("2026-10-24T10:00:00Z", "P1DT1H", "2026-10-25T12:00:00Z"),
        ("2026-10-24T22:00:00Z", "P1D", "2026-10-25T23:00:00Z"),
        ("2026-10-24T00:30:00Z", "P1D", "2026-10-25T00:30:00Z"),
        ("2026-10-25T01:30:00Z", "P1D", "2026-10-26T01:30:00Z"),
        ("2026-09-25T10:00:00Z", "P2M", "2026-11-25T11:00:00Z"),
    ],
)
def test_a_duration_counts_days_on_the_wall_clock_and_hours_as_they_pass(start: str, duration: str, end: str) -> None:
    assert iso(after(at(start), duration)) == end


@pytest.mark.parametrize(
    "duration",
    ["", "P", "PT", "P1", "1D", "-P1D", "P-1D", "P1DT", "PT1D", "P1H", "P1.5D", "p1d", "P1D ", "P1D2M", "P١D", "P9999Y",
     "P99999M9999999D", "PT1H1H"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(duration: str) -> None:
    with pytest.raises(Malformed) as refusal:
        after(at("2026-11-18T10:00:00Z"), duration)
    assert refusal.value.faults[0].pointer == "/advance"


@given(st.text(max_size=30))
def test_no_text_whatever_breaks_the_reading(text: str) -> None:
    now = at("2026-11-18T10:00:00Z")
    for advance, to in ((text, None), (None, text)):
        try:
            assert target(now, advance, to) >= now
        except (Malformed, ClockBackwards):
            continue


def test_an_instant_needs_its_offset() -> None:
    assert iso(instant("2026-11-30T00:00:00+01:00")) == "2026-11-29T23:00:00Z"
    assert iso(instant("2026-11-30t00:00:00z")) == "2026-11-30T00:00:00Z"
    for text in ("2026-11-30T00:00:00", "2026-11-30", "2026-02-30T00:00:00Z", "now", "20261130T000000Z"):
        with pytest.raises(Malformed):
            instant(text)


def test_the_clock_is_moved_by_exactly_one_of_both_and_forward_only() -> None:
    now = at("2026-11-18T10:00:00Z")
    assert target(now, None, "2026-11-18T10:00:00Z") == now
    with pytest.raises(ClockBackwards):
        target(now, None, "2026-11-18T09:59:59Z")
    for advance, to in ((None, None), ("P1D", "2026-11-30T00:00:00Z")):
        with pytest.raises(Malformed):
            target(now, advance, to)
