"""Double entry: whatever the amount and the rate, nothing is made and nothing lost (I09, R103, R105)."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.money import VatMethod, vat_included, vat_of
from billing.ledger import rules
from billing.ledger.rules import ACCOUNTS, CHART, Held, Line, RefundExceedsSale, Tax

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"

grosze = st.integers(1, 10_000_000)
methods = st.sampled_from(("per_document", "per_line"))


def taxes(gross: int) -> st.SearchStrategy[Tax]:
    return st.builds(Tax, rate_percent=st.integers(0, 27), unit_gross=st.integers(1, gross), method=methods)


def totals(*postings: tuple[Line, ...]) -> dict[str, int]:
    """The balance of each account after these postings, without those that are even."""
    found: Counter[str] = Counter()
    for posting in postings:
        for line in posting:
            found[line.account] += line.amount
    return {account: amount for account, amount in found.items() if amount}


def held_after(*postings: tuple[Line, ...]) -> Held:
    found = totals(*postings)
    return Held(
        vat=-found.get("vat_output", 0), deferred=-found.get("deferred_revenue", 0), earned=-found.get("revenue", 0)
    )


@given(grosze)
def test_i09_every_posting_sums_to_zero_and_names_an_account_once(amount: int) -> None:
    tax = Tax(rate_percent=23, unit_gross=amount)
    sold = rules.sale(amount, tax)
    postings = (
        sold, rules.refund_owed(held_after(sold), amount, tax), rules.refund_paid(amount),
        rules.refund_paid_by_bank(amount), rules.reversed_lines(rules.refund_paid(amount)), rules.chargeback(amount),
        rules.reversed_lines(rules.chargeback(amount)), rules.stripe_fee(amount), rules.stripe_fee(-amount),
        rules.payout(amount), rules.stray_in(amount), rules.stray_out(amount), rules.recognised(amount),
        rules.recognised(-amount),
    )  # fmt: skip
    for posting in postings:
        assert sum(line.amount for line in posting) == 0
        assert len({line.account for line in posting}) == len(posting)


@given(st.data())
def test_refunds_in_any_parts_undo_exactly_the_tax_and_the_price_of_the_sale(data: st.DataObject) -> None:
    gross = data.draw(grosze)
    tax = data.draw(taxes(gross))
    booked = [rules.sale(gross, tax)]
    held = held_after(*booked)
    if held.deferred:
        booked.append(rules.recognised(data.draw(st.integers(0, held.deferred))))
    paid = 0
    while left := held_after(*booked).gross:
        amount = data.draw(st.integers(1, left)) if len(booked) < 12 else left
        booked.extend((rules.refund_owed(held_after(*booked), amount, tax), rules.refund_paid(amount)))
        paid += amount
        now = held_after(*booked)
        assert min(now.vat, now.deferred, now.earned) >= 0
        assert now.vat == tax.of(gross - paid), "R103: what is left is taxed as if it had been the sale"
    assert totals(*booked) == {}, "no drift"


@given(st.data())
def test_a_method_that_was_changed_by_hand_meanwhile_cannot_make_a_grosz_either(data: st.DataObject) -> None:
    """Even a tax that fits no method is undone exactly, once all has gone back."""
    held = Held(vat=data.draw(grosze), deferred=data.draw(grosze), earned=data.draw(grosze))
    tax, booked = data.draw(taxes(held.gross)), (
        Line("vat_output", -held.vat), Line("deferred_revenue", -held.deferred), Line("revenue", -held.earned),
    )  # fmt: skip
    first = data.draw(st.integers(1, held.gross))
    part = rules.refund_owed(held, first, tax)
    after = held_after(booked, part)
    assert min(after.vat, after.deferred, after.earned) >= 0
    rest = rules.refund_owed(after, after.gross, tax) if after.gross else ()
    assert totals(booked, part, rest) == {"refunds_payable": -held.gross}


@given(grosze, st.integers(1, 100))
def test_more_than_is_held_or_nothing_at_all_is_not_given_back(gross: int, over: int) -> None:
    tax = Tax(rate_percent=23, unit_gross=gross)
    held = held_after(rules.sale(gross, tax))
    for amount in (gross + over, 0, -over):
        with pytest.raises(RefundExceedsSale):
            rules.refund_owed(held, amount, tax)


@pytest.mark.parametrize(
    ("units", "unit", "method", "vat", "net"),
    [
        (1, 101, "per_document", 19, 82),
        (1, 3599, "per_document", 673, 2926),
        (1, 3794, "per_document", 709, 3085),
        (1, 4398, "per_document", 822, 3576),
        (1, 4499, "per_document", 841, 3658),
        (1, 4999, "per_document", 935, 4064),
        (3, 4499, "per_document", 2524, 10973),
        (3, 4499, "per_line", 2523, 10974),
    ],
)
def test_r103_golden_table_of_tax_inside_a_gross_amount(
    units: int, unit: int, method: VatMethod, vat: int, net: int
) -> None:
    booked = totals(rules.sale(units * unit, Tax(rate_percent=23, unit_gross=unit, method=method)))
    assert booked == {"stripe_clearing": units * unit, "vat_output": -vat, "deferred_revenue": -net}


@given(grosze, st.integers(0, 27))
def test_r103_tax_is_the_nearest_grosz_half_up(gross: int, rate: int) -> None:
    doubled = 2 * gross * rate - 2 * vat_included(gross, rate) * (100 + rate)
    assert -(100 + rate) <= doubled < 100 + rate, "a half is rounded up, never down"


@given(st.integers(1, 30), st.integers(1, 100_000), st.integers(0, 27))
def test_r103_the_methods_differ_by_less_than_a_grosz_a_line(units: int, unit: int, rate: int) -> None:
    document, lines = (vat_of(units * unit, rate, method, unit) for method in ("per_document", "per_line"))
    assert lines == units * vat_included(unit, rate)
    assert abs(document - lines) <= (units + 1) // 2
    assert vat_of(unit, rate, "per_line", unit) == vat_of(unit, rate, "per_document", unit)


def test_the_chart_says_what_every_account_means_and_the_page_says_the_same() -> None:
    assert set(CHART) == set(ACCOUNTS)
    told = re.findall(r"^\| `(\w+)` \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    assert told == [(account, CHART[account]) for account in ACCOUNTS]
