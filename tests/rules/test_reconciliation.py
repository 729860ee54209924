"""Looking at the provider's books and ours: nothing is missed, nothing is told twice, nothing is taken at a guess."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.checkout.values import KnownOrder
from billing.payments.gateway_books import BookedCharge, BookedPage, LineKind
from billing.payments.values import KnownPayment
from billing.reconciliation.payout_rules import NAMED, Counted, Owner, close
from billing.reconciliation.rules import AT_ONCE, compare
from billing.reconciliation.values import Comparison, Ours, Theirs

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
LATER = AT + timedelta(days=1)
PRICE = 4499

Life = tuple[bool, bool, bool, bool, int]
"""Of one payment: is the page known here, is it paid there, is it known here, does it carry our mark, for how much."""
LIVES = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([PRICE, PRICE, 1])),
    max_size=8,
)


def both_sides(lives: list[Life]) -> tuple[Theirs, Ours]:
    pages, charges, orders, opened, payments = [], [], {}, {}, {}
    for number, (is_ours, is_paid, was_heard, is_marked, amount) in enumerate(lives):
        order, page, money, charge = f"ord_{number}", f"cs_{number}", f"pi_{number}", f"ch_{number}"
        is_known = was_heard and is_paid and is_ours
        pages.append(
            BookedPage(
                session_id=page, status="complete" if is_paid else "open", reference=None, order=order, amount=amount,
                payment_status="paid" if is_paid else "unpaid", currency="PLN", created_at=AT, payment_id=money,
            )
        )  # fmt: skip
        if is_paid:
            charges.append(
                BookedCharge(
                    charge_id=charge, payment_id=money, amount=amount, amount_refunded=0, currency="PLN",
                    created_at=AT, order=order if is_marked else None,
                )
            )  # fmt: skip
        if is_ours:
            opened[page] = order
            orders[order] = KnownOrder(
                order=order, account=None, state="paid" if is_known else "incomplete", total=PRICE, currency="PLN",
                session_id=page, is_page_open=not is_known,
            )  # fmt: skip
        if is_known:
            payments[money] = payments[charge] = KnownPayment(
                payment_id=money, charge_id=charge, order=order, amount=amount, currency="PLN", captured_at=AT,
                amount_refunded=0,
            )  # fmt: skip
    theirs = Theirs(pages=tuple(pages), charges=tuple(charges))
    return theirs, Ours(pages=opened, orders=orders, payments=payments)


def look(theirs: Theirs, ours: Ours) -> Comparison:
    return compare(theirs, ours, seen_until=LATER)


@given(LIVES)
def test_i12_every_payment_there_is_known_here_or_told_of_once_or_none_of_ours(lives: list[Life]) -> None:
    theirs, ours = both_sides(lives)
    found = look(theirs, ours)
    subjects = [finding.subject for finding in found.findings]
    assert len(subjects) == len(set(subjects))
    for charge in theirs.charges:
        is_known = ours.payment_of(charge.payment_id, charge.charge_id) is not None
        told = (charge.payment_id in subjects) + (charge.charge_id in found.foreign)
        assert told == (0 if is_known else 1), charge


@given(LIVES)
def test_only_the_price_that_was_accepted_is_granted_without_a_person(lives: list[Life]) -> None:
    theirs, ours = both_sides(lives)
    amounts = {charge.payment_id: charge.amount for charge in theirs.charges}
    for finding in look(theirs, ours).findings:
        assert (finding.proposal in AT_ONCE) == (amounts[finding.subject] == PRICE and finding.order in ours.orders)


@given(LIVES, st.randoms(use_true_random=False))
def test_i01_the_order_in_which_the_provider_lists_things_changes_nothing(
    lives: list[Life], chance: random.Random
) -> None:
    theirs, ours = both_sides(lives)
    pages, charges = list(theirs.pages), list(theirs.charges)
    chance.shuffle(pages)
    chance.shuffle(charges)
    other = look(Theirs(pages=tuple(pages), charges=tuple(charges)), ours)
    first = look(theirs, ours)
    assert (other.findings, set(other.foreign), other.abandoned) == (
        first.findings, set(first.foreign), first.abandoned,
    )  # fmt: skip


@given(LIVES)
def test_i02_when_all_is_as_it_is_there_a_look_finds_nothing(lives: list[Life]) -> None:
    theirs, ours = both_sides([(True, is_paid, True, is_marked, PRICE) for _, is_paid, _, is_marked, _ in lives])
    found = look(theirs, ours)
    assert (found.findings, found.foreign) == ((), ())
    assert found.abandoned == sum(not is_paid for _, is_paid, *_ in lives)


KINDS: list[LineKind] = ["charge", "refund", "dispute", "fee"]
OWNERS = st.sampled_from([Owner("ord_1"), Owner("ord_2"), Owner(is_foreign=True), Owner()])
LINES = st.lists(
    st.builds(
        Counted, kind=st.sampled_from(KINDS), amount=st.integers(-10_000, 10_000), fee=st.integers(-50, 200),
        owner=OWNERS,
    ),
    max_size=12,
)  # fmt: skip


@given(LINES, st.integers(-3, 3))
def test_r112_a_payouts_difference_is_what_is_missing_and_every_line_that_names_nobody(
    lines: list[Counted], missing: int
) -> None:
    own = Counted(kind="payout", amount=-1, fee=0, owner=Owner(), is_own=True)
    amount = sum(line.amount - line.fee for line in lines) + missing
    closing = close(amount, [*lines, own])
    unnamed = sum(line.amount for line in lines if line.kind in NAMED and line.owner == Owner())
    assert closing.residue == missing
    assert closing.difference == missing + unnamed
    assert closing.lines == len(lines)


@given(LINES)
def test_r112_the_parts_of_a_payout_sum_to_it(lines: list[Counted]) -> None:
    amount = sum(line.amount - line.fee for line in lines)
    part = close(amount, lines)
    parts = part.charged + part.refunded + part.disputed - part.fees + part.returned + part.not_ours
    assert parts + part.difference == amount
