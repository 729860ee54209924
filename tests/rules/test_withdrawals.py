"""In time or not, and what of the money stays: the golden tables, and what holds for every day and price (R72, R74)."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.values import RefundPolicy
from billing.kernel.days import day_of, end_of, is_working_day
from billing.kernel.errors import Conflict
from billing.withdrawals import rules
from billing.withdrawals.rules import STATES, Right, State

SECOND = timedelta(seconds=1)
DAYS = st.dates(date(2026, 1, 1), date(2035, 12, 31))
LENGTHS = st.integers(1, 400)
PRICES = st.integers(1, 10_000_000)
LAST = date(2027, 6, 30)


def right(first: date, price: int = 4499, last: date = LAST) -> Right:
    return Right(price=price, first=first, last=last)


def prorata(rights: list[Right], refundable: int, on: date) -> rules.Settlement:
    return rules.settle(rights, refundable, on, policy="prorata", was_wished=True, was_told=True)


@pytest.mark.parametrize(
    ("contract", "last"),
    [
        ("2026-09-01", "2026-09-15"),
        ("2026-10-28", "2026-11-12"),
        ("2026-11-21", "2026-12-07"),
        ("2026-12-10", "2026-12-28"),
        ("2026-12-11", "2026-12-28"),
        ("2026-12-12", "2026-12-28"),
        ("2026-12-18", "2027-01-04"),
        ("2027-03-14", "2027-03-30"),
    ],
)
def test_r72_golden_table_8_1_the_last_day(contract: str, last: str) -> None:
    assert rules.last_day(date.fromisoformat(contract), 14) == date.fromisoformat(last)


@given(DAYS, st.integers(14, 100))
def test_r72_the_last_day_is_a_working_day_and_nothing_is_moved_twice(contract: date, days: int) -> None:
    last = rules.last_day(contract, days)
    plain = contract + timedelta(days=days)
    assert is_working_day(last)
    assert last >= plain
    assert not any(is_working_day(plain + timedelta(days=more)) for more in range((last - plain).days))


@pytest.mark.parametrize("last", [date(2026, 10, 25), date(2027, 3, 28), date(2026, 12, 28), date(2026, 9, 15)])
def test_r72_it_may_be_sent_to_the_last_second_of_the_last_day_on_days_of_23_24_and_25_hours(last: date) -> None:
    over = end_of(last)
    assert rules.judge(day_of(over - SECOND), last) == "accepted"
    assert rules.judge(day_of(over), last) == "late"


def test_r72_half_past_eleven_in_the_evening_in_warsaw_is_another_day_elsewhere() -> None:
    last = date(2026, 9, 15)
    assert rules.judge(day_of(datetime(2026, 9, 15, 21, 59, 59, tzinfo=UTC)), last) == "accepted"
    assert rules.judge(day_of(datetime(2026, 9, 15, 22, tzinfo=UTC)), last) == "late"


@pytest.mark.parametrize(
    ("start", "days", "on", "used", "kept", "refund"),
    [
        ("2026-09-01", 303, "2026-09-14", 14, 207, 4292),
        ("2026-11-21", 222, "2026-11-21", 1, 20, 4479),
        ("2026-11-21", 222, "2026-11-25", 5, 101, 4398),
        ("2026-11-21", 222, "2026-12-04", 14, 283, 4216),
        ("2026-11-21", 222, "2026-12-07", 17, 344, 4155),
        ("2027-06-01", 30, "2027-06-14", 14, 2099, 2400),
    ],
)
def test_r74_golden_table_8_2_the_proportional_refund(
    start: str, days: int, on: str, used: int, kept: int, refund: int
) -> None:
    sold, day = right(date.fromisoformat(start)), date.fromisoformat(on)
    assert (sold.days, sold.used(day), sold.kept(day)) == (days, used, kept)
    assert prorata([sold], 4499, day) == rules.Settlement(kept=kept, refund=refund)


@pytest.mark.parametrize(
    ("policy", "was_wished", "was_told"),
    [case for case in product(("full", "prorata"), (True, False), (True, False)) if case != ("prorata", True, True)],
)
def test_r74_without_the_policy_the_wish_or_the_evidence_nothing_is_kept(
    policy: RefundPolicy, was_wished: bool, was_told: bool
) -> None:
    found = rules.settle(
        [right(date(2026, 9, 1))], 4499, date(2026, 9, 14), policy=policy, was_wished=was_wished, was_told=was_told
    )
    assert found == rules.Settlement(kept=0, refund=4499)


@given(PRICES, DAYS, LENGTHS, st.integers(-30, 500))
def test_r74_kept_and_refund_are_the_price_and_the_kept_part_is_rounded_down(
    price: int, first: date, length: int, after: int
) -> None:
    sold = right(first, price, first + timedelta(days=length - 1))
    on = first + timedelta(days=after)
    found = prorata([sold], price, on)
    assert found.kept + found.refund == price
    assert 0 <= found.kept <= price
    used = min(max(after + 1, 0), length)
    assert found.kept * length <= price * used < (found.kept + 1) * length


@given(PRICES, DAYS, LENGTHS, st.integers(-30, 500), st.integers(0, 60))
def test_r74_the_earlier_the_withdrawal_the_more_goes_back(
    price: int, first: date, length: int, after: int, later: int
) -> None:
    sold = right(first, price, first + timedelta(days=length - 1))
    early, late = (prorata([sold], price, first + timedelta(days=day)) for day in (after, after + later))
    assert early.refund >= late.refund


@given(st.lists(PRICES, max_size=5), st.integers(0, 20_000_000), st.integers(0, 30), st.booleans())
def test_r77_never_more_goes_back_than_is_there_nor_more_than_the_rights_cost(
    prices: list[int], refundable: int, after: int, is_full: bool
) -> None:
    first = date(2026, 9, 1)
    sold = [right(first, price) for price in prices]
    policy: RefundPolicy = "full" if is_full else "prorata"
    found = rules.settle(sold, refundable, first + timedelta(days=after), policy=policy, was_wished=True, was_told=True)
    assert found.kept + found.refund == min(refundable, sum(prices))
    assert min(found.kept, found.refund) >= 0
    assert found.kept <= sum(one.kept(first + timedelta(days=after)) for one in sold)


@given(st.integers(0, 10_000_000), st.lists(LENGTHS, max_size=5))
def test_r74_of_rights_that_share_money_the_prices_are_all_of_it_and_each_day_costs_the_same(
    money: int, lengths: list[int]
) -> None:
    first = date(2026, 9, 1)
    sold = rules.sharing(money, [right(first, last=first + timedelta(days=length - 1)) for length in lengths])
    assert [one.days for one in sold] == lengths
    assert sum(one.price for one in sold) == (money if lengths else 0)
    assert all(abs(one.price - money * one.days / sum(lengths)) <= 1 for one in sold)


def test_r74_a_right_that_has_not_begun_costs_nothing_and_one_that_is_over_costs_all() -> None:
    sold = right(date(2027, 7, 1), last=date(2028, 6, 30))
    assert prorata([sold], 4499, date(2027, 6, 30)).kept == 0
    assert prorata([sold], 4499, date(2028, 7, 1)) == rules.Settlement(kept=4499, refund=0)


@pytest.mark.parametrize(("now", "to"), list(product(STATES, STATES)))
def test_i17_a_late_declaration_may_give_way_to_one_in_time_and_nothing_else_moves(now: State, to: State) -> None:
    if (now, to) == ("late", "accepted"):
        assert rules.move(now, to) == to
    else:
        with pytest.raises(Conflict):
            rules.move(now, to)


@pytest.mark.parametrize(
    ("sent_on", "may_be"),
    [(date(2026, 8, 31), False), (date(2026, 9, 1), True), (date(2026, 9, 20), True), (date(2026, 9, 21), False)],
)
def test_r73_a_letter_was_sent_neither_before_the_order_nor_tomorrow(sent_on: date, may_be: bool) -> None:
    assert rules.is_in_the_past(sent_on, date(2026, 9, 1), date(2026, 9, 20)) is may_be
