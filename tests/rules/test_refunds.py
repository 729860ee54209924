"""Days, ways and effects of money that goes back, as pure rules (R75, R76)."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.days import at_hour
from billing.payments.rules import REFUND_MOVES, is_too_old, refund_due_on, refund_move, warning_level
from billing.withdrawals.effects import EVENTS, KINDS, TABLE, Effect

DAYS = st.dates(date(2026, 1, 1), date(2032, 12, 31))


@given(DAYS, st.integers(-40, 400))
def test_r76_the_warning_is_the_least_step_reached(due: date, ahead: int) -> None:
    today = due + timedelta(days=ahead)
    left = (due - today).days
    wanted = -1 if left < 0 else 3 if left <= 3 else 7 if left <= 7 else None
    assert warning_level(due, today) == wanted


@given(DAYS, st.integers(0, 400))
def test_r75_przelewy24_gives_back_for_180_warsaw_days_and_cards_for_ever(on: date, days: int) -> None:
    captured = at_hour(on, 23)
    at = at_hour(on + timedelta(days=days), 1)
    assert is_too_old("p24", captured, at) == (days > 180)
    assert not is_too_old("card", captured, at)


def test_r75_the_golden_days_of_przelewy24() -> None:
    captured = at_hour(date(2026, 9, 1), 10)
    assert not is_too_old("p24", captured, at_hour(date(2027, 2, 28), 23))
    assert is_too_old("p24", captured, at_hour(date(2027, 3, 1), 0))
    assert refund_due_on(date(2026, 11, 21)) == date(2026, 12, 5)


def test_r75_nothing_the_provider_says_moves_a_refund_that_people_settled() -> None:
    for settled in ("sent_by_bank", "waived"):
        assert {to for now, to in REFUND_MOVES if now == settled} == set()
        for told in ("pending", "requires_action", "succeeded", "failed", "canceled"):
            assert refund_move(settled, told) == settled
    assert {now for now, to in REFUND_MOVES if to in {"sent_by_bank", "waived"}} == {"failed", "canceled"}


# The table


def test_pain_7_every_event_of_money_has_a_row_for_every_kind_of_right() -> None:
    assert set(TABLE) == {(event, kind) for event in EVENTS for kind in KINDS}


GOLDEN = {
    "withdrawal": (("withdrawn", "withdrawn"), "at_once", "withdrawal_received", "refund_rest", None),
    "full_refund": (("refunded", "refunded"), "at_once", "money_returned", "nothing", None),
    "part_refund": (None, "own_end", "money_returned", "nothing", None),
    "duplicate": (None, "own_end", "money_returned", "refund_all", None),
    "late_money": (None, "own_end", "money_returned", "refund_all", None),
    "refund_failed": (None, "own_end", "refund_by_bank", "case", "bank_transfer"),
    "dispute_opened": (None, "own_end", None, "nothing", "dispute"),
    "dispute_lost": (("disputed", "disputed"), "at_once", "dispute_lost", "nothing", "dispute"),
    "dispute_won": (None, "own_end", None, "nothing", None),
    "part_refund_made_at_stripe_by_hand": (None, "own_end", "money_returned", "nothing", "finding"),
    "full_refund_made_at_stripe_by_hand": (("refunded", "refunded"), "at_once", "money_returned", "nothing", "finding"),
}


@pytest.mark.parametrize("kind", ["season_pass", "renewing"])
@pytest.mark.parametrize("event", GOLDEN)
def test_pain_7_what_a_buyer_paid_for_goes_as_the_golden_table_says(event: Any, kind: Any) -> None:
    row: Effect = TABLE[event, kind]
    assert (row.ends_as, row.day, row.letter, row.money, row.case) == GOLDEN[event]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_pain_7_a_right_ends_at_once_or_stays_and_money_in_doubt_is_a_case(event: Any, kind: Any) -> None:
    row = TABLE[event, kind]
    assert (row.ends_as is not None) == (row.day == "at_once")
    assert row.money != "case" or row.case is not None
