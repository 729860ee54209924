"""Every filter stands in the address, and a bad address is told everything that is wrong with it."""

from datetime import UTC, date, datetime
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.finance.filters import ALL_STATES, KINDS, NEEDS, SIZES, Filters, fold, pattern_of, read
from billing.kernel.errors import Malformed

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@given(
    st.builds(
        Filters,
        q=st.text(st.characters(categories=["L", "N", "P"]), max_size=50),
        kind=st.none() | st.sampled_from(KINDS),
        state=st.none() | st.sampled_from(ALL_STATES),
        first=st.none() | DAYS,
        season=st.none() | st.just("2026/27"),
        need=st.none() | st.sampled_from(NEEDS),
        size=st.sampled_from(SIZES),
    ),
    st.none() | st.uuids(),
)
def test_an_address_says_the_same_filters_again(wanted: Filters, after: UUID | None) -> None:
    found = read(parse_qsl(wanted.query(after=after)))
    assert found.query(after=found.after) == wanted.query(after=after)
    assert (found.kind, found.first, found.size, found.after) == (wanted.kind, wanted.first, wanted.size, after)


def test_blank_fields_of_a_form_are_not_set() -> None:
    assert read([("q", " "), ("kind", ""), ("from", ""), ("size", "25")]) == Filters()


def test_every_fault_is_named() -> None:
    pairs = [("kind", "x"), ("state", "y"), ("from", "2026-02-30"), ("to", "1-1-1"), ("size", "26"), ("after", "zz"),
             ("need", "z"), ("q", "a\0"), ("season", "x" * 201), ("foo", "1"), ("foo", "2")]  # fmt: skip
    with pytest.raises(Malformed) as fault:
        read(pairs)
    named = {found.pointer for found in fault.value.faults}
    assert named == {"kind", "state", "from", "to", "size", "after", "need", "q", "season", "foo"}


def test_days_are_warsaw_days_and_both_are_included() -> None:
    """R128: 25 October 2026 has 25 hours."""
    found = read([("from", "2026-10-25"), ("to", "2026-10-25")])
    assert found.since == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert found.until == datetime(2026, 10, 25, 23, tzinfo=UTC)
    with pytest.raises(Malformed):
        read([("from", "2026-10-26"), ("to", "2026-10-25")])


@pytest.mark.parametrize(
    ("text", "folded"), [("Łódź", "lodz"), (" ŻÓŁW ", "zolw"), ("Źdźbło", "zdzblo"), ("z\u0301", "z"), ("ABC", "abc")]
)
def test_case_and_polish_letters_do_not_matter(text: str, folded: str) -> None:
    """R115."""
    assert fold(text) == folded


def test_signs_of_patterns_mean_themselves() -> None:
    assert pattern_of("50%_\\") == "%50\\%\\_\\\\%"
