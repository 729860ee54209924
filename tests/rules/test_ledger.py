"""Double entry: whatever the amount and the rate, nothing is made and nothing lost (I09, R103)."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.money import vat_included
from billing.ledger import rules
from billing.ledger.rules import Line

grosze = st.integers(0, 10_000_000)
rates = st.integers(0, 27)


def totals(*postings: tuple[Line, ...]) -> dict[str, int]:
    """The balance of each account after these postings, without those that are even."""
    found: Counter[str] = Counter()
    for posting in postings:
        for line in posting:
            found[line.account] += line.amount
    return {account: amount for account, amount in found.items() if amount}


@given(grosze, rates)
def test_i09_every_posting_sums_to_zero(gross: int, rate: int) -> None:
    for posting in (rules.sale(gross, rate), rules.refund_owed(gross, rate), rules.refund_paid(gross)):
        assert sum(line.amount for line in posting) == 0
        assert len({line.account for line in posting}) == len(posting)


@given(grosze, rates)
def test_a_sale_that_is_given_back_whole_leaves_nothing_behind(gross: int, rate: int) -> None:
    sold, owed = rules.sale(gross, rate), rules.refund_owed(gross, rate)
    assert totals(sold, owed) == totals((Line("stripe_clearing", gross), Line("refunds_payable", -gross)))
    assert totals(sold, owed, rules.refund_paid(gross)) == {}


@given(grosze, rates, st.data())
def test_what_is_kept_of_a_sale_is_what_was_not_given_back(gross: int, rate: int, data: st.DataObject) -> None:
    back = data.draw(st.integers(0, gross))
    left = totals(rules.sale(gross, rate), rules.refund_owed(back, rate), rules.refund_paid(back))
    assert left.get("stripe_clearing", 0) == gross - back
    assert left.get("refunds_payable", 0) == 0
    assert abs(left.get("vat_output", 0) + vat_included(gross - back, rate)) <= 1, "rounding apart"


@pytest.mark.parametrize(
    ("gross", "vat", "net"),
    [
        (101, 19, 82),
        (3599, 673, 2926),
        (3794, 709, 3085),
        (4398, 822, 3576),
        (4499, 841, 3658),
        (4999, 935, 4064),
        (13497, 2524, 10973),
    ],
)
def test_r103_golden_table_of_tax_inside_a_gross_amount(gross: int, vat: int, net: int) -> None:
    booked = totals(rules.sale(gross, 23))
    assert booked == {"stripe_clearing": gross, "vat_output": -vat, "deferred_revenue": -net}


@given(grosze, rates)
def test_r103_tax_is_the_nearest_grosz_half_up(gross: int, rate: int) -> None:
    doubled = 2 * gross * rate - 2 * vat_included(gross, rate) * (100 + rate)
    assert -(100 + rate) <= doubled < 100 + rate, "a half is rounded up, never down"
