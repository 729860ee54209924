"""Until when, by when, and what counts as issued (R106, R107, R109, R110)."""

from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices import rules
from billing.invoices.rules import MARKERS, MOVES, PATHS, STATES, NotIssued, State
from billing.kernel.errors import Conflict

DAY = timedelta(days=1)
KSEF = "1111111111-20261210-0200A0B1C2D3-5E"
days = st.dates(date(2026, 1, 1), date(2035, 12, 31))


@pytest.mark.parametrize(
    ("paid", "last"),
    [
        (date(2026, 11, 21), date(2027, 2, 28)),
        (date(2026, 9, 1), date(2026, 12, 31)),
        (date(2026, 9, 30), date(2026, 12, 31)),
        (date(2027, 11, 30), date(2028, 2, 29)),
        (date(2026, 12, 31), date(2027, 3, 31)),
    ],
)
def test_r106_one_may_ask_until_the_end_of_the_third_month_after_the_payment(paid: date, last: date) -> None:
    assert rules.last_day_to_ask(paid) == last


@given(days)
def test_r106_the_last_day_is_the_end_of_a_month_three_months_on(paid: date) -> None:
    last = rules.last_day_to_ask(paid)
    assert (last + DAY).day == 1
    assert (last.year * 12 + last.month) - (paid.year * 12 + paid.month) == 3


@pytest.mark.parametrize(
    ("paid", "asked", "due"),
    [
        (date(2026, 11, 21), date(2026, 11, 25), date(2026, 12, 15)),
        (date(2026, 11, 21), date(2026, 11, 30), date(2026, 12, 15)),
        (date(2026, 11, 21), date(2026, 12, 1), date(2026, 12, 16)),
        (date(2026, 11, 21), date(2027, 1, 10), date(2027, 1, 25)),
        (date(2026, 12, 2), date(2026, 12, 3), date(2027, 1, 15)),
    ],
)
def test_r107_due_on_the_fifteenth_of_the_next_month_or_fifteen_days_after_a_later_request(
    paid: date, asked: date, due: date
) -> None:
    assert rules.due_on(paid, asked) == due


def test_r110_i17_nothing_leads_away_from_an_issued_invoice_and_every_edge_is_in_the_table() -> None:
    assert not [edge for edge in MOVES if edge[0] == "issued"]
    assert not any("cancel" in state for state in STATES)
    allowed: set[tuple[State, State]] = set()
    for now, to in product(STATES, STATES):
        try:
            assert rules.move(now, to) == to
        except Conflict:
            continue
        allowed.add((now, to))
    assert allowed == MOVES
    assert ("requested", "issued") not in MOVES, "what was never handed over was never issued"


@pytest.mark.parametrize(
    ("buyer", "path", "ksef"),
    [
        ("company", "ksef", KSEF),
        ("consumer", "ksef", "1111111111-20261210-0200A0-B1C2D3-5E"),
        ("company", "offline", None),
        ("consumer", "consumer", None),
        ("private_person", "consumer", None),
    ],
)
def test_r109_issued_with_a_number_of_ksef_or_on_the_documented_other_ways(
    buyer: rules.BuyerKind, path: rules.Path, ksef: str | None
) -> None:
    rules.checked_issue(buyer, path, "FV/1/2026", ksef)


@pytest.mark.parametrize(
    ("buyer", "path", "number", "ksef"),
    [
        ("company", "ksef", "FV/1", None),
        ("company", "ksef", "FV/1", "sent, no answer yet"),
        ("company", "ksef", "FV/1", KSEF.lower()),
        ("company", "ksef", "FV/1", KSEF + "0"),
        ("company", "ksef", " ", KSEF),
        ("company", "consumer", "FV/1", None),
        ("municipality", "consumer", "FV/1", None),
        ("consumer", "consumer", "FV/1", KSEF),
        ("company", "offline", "FV/1", KSEF),
    ],
)
def test_r109_anything_else_is_not_issued(
    buyer: rules.BuyerKind, path: rules.Path, number: str, ksef: str | None
) -> None:
    with pytest.raises(NotIssued):
        rules.checked_issue(buyer, path, number, ksef)


def test_r111_every_way_and_none_has_one_jpk_marker() -> None:
    assert set(MARKERS) == {*PATHS, None}
    assert sorted(MARKERS.values()) == ["BFK", "DI", "KSEF", "OFF"]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": ""}),
        ("street", {"street": ""}),
        ("town", {"town": "Warszawa"}),
        ("town", {"town": "00-001"}),
        ("nip", {"nip_text": "1234567890"}),
        ("nip", {"nip_text": "czerwony"}),
    ],
)
def test_a_form_that_no_invoice_can_be_made_of_names_the_field(field: str, given: dict[str, str]) -> None:
    whole = {"name": "Anna Żółć", "street": "ul. Prosta 1", "town": "00-001 Warszawa", "nip_text": ""}
    assert rules.faults_of(**whole) == []
    assert rules.faults_of(**(whole | given)) == [field]


def test_with_a_nip_the_buyer_is_a_company_however_it_was_written() -> None:
    facts = {"name": "N", "street": "S", "town": "00-001 W", "email": "a@b.pl"}
    assert rules.buyer_of(**facts, nip_text="PL 111-111-11-11").nip == "1111111111"
    assert rules.buyer_of(**facts, nip_text="").kind == "consumer"
