"""What may be ordered, which moves an order makes, what is done with its money (R13, R47–R49, R57, R85, I17)."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, product
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.rules import offer_on
from billing.catalog.service import load
from billing.catalog.values import Offer
from billing.checkout import rules
from billing.checkout.rules import CoveredUntil, Sale, State
from billing.kernel.errors import Conflict

CATALOGUE = load()
OFFER = offer_on(CATALOGUE, None, date(2026, 11, 21))
ALL = frozenset(OFFER.features)
STATES: tuple[State, ...] = get_args(State)
DRAWN = {
    ("incomplete", "pending"),
    ("incomplete", "paid"),
    ("incomplete", "failed"),
    ("incomplete", "expired"),
    ("pending", "paid"),
    ("pending", "failed"),
    ("failed", "paid"),
    ("expired", "paid"),
}
PAID = CoveredUntil("paid", date(2027, 6, 30))
AT = datetime(2026, 11, 21, 9, tzinfo=UTC)

pupils = st.sets(st.sampled_from([f"p{number}" for number in range(8)]), max_size=8)
blocks = st.dictionaries(
    st.sampled_from([f"p{number}" for number in range(8)]), st.frozensets(st.sampled_from(sorted(ALL))), max_size=8
)


def sell(linked: Any, covered: Any = (), blocked: Any = None, **given: Any) -> Sale:
    found = dict.fromkeys(covered, PAID)
    return rules.sale(given.get("offer", OFFER), linked, found, blocked or {}, is_adult=given.get("is_adult", True))


@pytest.mark.parametrize(("now", "to"), list(product(STATES, STATES)))
def test_i17_of_all_pairs_of_states_an_order_walks_only_the_drawn_edges(now: State, to: State) -> None:
    if (now, to) in DRAWN:
        assert rules.move(now, to) == to
    else:
        with pytest.raises(Conflict):
            rules.move(now, to)


def test_i04_nothing_leads_away_from_a_paid_order_and_money_reaches_it_from_everywhere() -> None:
    assert not [edge for edge in rules.MOVES if edge[0] == "paid"]
    assert {edge[0] for edge in rules.MOVES if edge[1] == "paid"} == set(STATES) - {"paid"}
    assert {edge[0] for edge in rules.MOVES if edge[1] == "expired"} == {"incomplete"}, "pending money is under way"


@pytest.mark.parametrize(
    ("linked", "covered", "blocked", "pupils", "refusal", "named"),
    [
        (["a"], [], {}, ("a",), None, ()),
        (["b", "a", "c"], [], {}, ("a", "b", "c"), None, ()),
        (["a", "b", "c"], ["b"], {}, ("a", "c"), None, ()),
        (["a"], ["a"], {}, (), "already_covered", ()),
        (["a"], [], {"a": ALL}, (), "blocked_by_school", tuple(sorted(ALL))),
        (["a"], [], {"a": frozenset({"messages"})}, ("a",), None, ("messages",)),
        (["a", "b"], [], {"a": ALL}, ("b",), None, tuple(sorted(ALL))),
        (["a", "b"], ["a"], {"b": ALL}, (), "blocked_by_school", tuple(sorted(ALL))),
        (["a", "b"], ["a"], {"a": ALL}, ("b",), None, ()),
        ([], [], {}, (), "link_expired", ()),
    ],
)
def test_r13_r48_what_is_sold_to_whom(
    linked: list[str],
    covered: list[str],
    blocked: dict[str, frozenset[str]],
    pupils: tuple[str, ...],
    refusal: str | None,
    named: tuple[str, ...],
) -> None:
    sale = sell(linked, covered, blocked)
    assert (sale.pupils, sale.refusal, sale.blocked_features) == (pupils, refusal, named)
    assert sale.total == 4499 * len(pupils)


@given(pupils, pupils, blocks, st.booleans(), st.booleans())
def test_r47_r48_a_sale_never_holds_who_may_not_be_paid_for(
    linked: set[str], covered: set[str], blocked: dict[str, frozenset[str]], adult: bool, on_sale: bool
) -> None:
    sale = sell(linked, covered, blocked, is_adult=adult, offer=OFFER if on_sale else None)
    assert set(sale.pupils) <= linked - covered
    assert not [pupil for pupil in sale.pupils if blocked.get(pupil, frozenset()) >= ALL]
    assert (sale.refusal is None) == bool(sale.pupils)
    if not adult:
        assert (sale.refusal, sale.pupils) == ("not_an_adult", ())
    elif not on_sale:
        assert (sale.refusal, sale.total) == ("sales_closed", 0)
    else:
        sellable = {pupil for pupil in linked - covered if not blocked.get(pupil, frozenset()) >= ALL}
        assert set(sale.pupils) == sellable
        assert len(sale.covered) == len(linked & covered)
        assert list(sale.pupils) == sorted(sale.pupils)


CHANGES: list[dict[str, Any]] = [
    {"unit_gross": 4500},
    {"first_day": date(2026, 11, 22)},
    {"last_day": date(2027, 6, 29)},
    {"vat_rate_percent": 8},
    {"price_key": "another"},
    {"features": ("messages",)},
    {"season": "2027/28"},
    {"reduced": True, "lowest_30_days": 4999},
    {"names": msgspec.structs.replace(OFFER.names, pl="Coś innego")},
]


@pytest.mark.parametrize("change", CHANGES, ids="+".join)
def test_r85_whatever_the_page_shows_changes_the_digest(change: dict[str, Any]) -> None:
    plain = sell(["a", "b"])
    other: Offer = msgspec.structs.replace(OFFER, **change)
    assert rules.digest(msgspec.structs.replace(plain, offer=other), "1") != rules.digest(plain, "1")


def test_r85_pupils_blocks_and_terms_change_the_digest_and_nothing_else_does() -> None:
    plain = sell(["a", "b"])
    marks = {
        rules.digest(sale, terms)
        for sale, terms in [
            (plain, "1"),
            (sell(["a"]), "1"),
            (sell(["a", "b"], [], {"a": frozenset({"messages"})}), "1"),
            (plain, "2"),
            (sell([], offer=None), "1"),
        ]
    }
    assert len(marks) == 5
    assert rules.digest(plain, "1") == rules.digest(sell(["b", "a"]), "1")
    assert rules.digest(plain, "1") == rules.digest(sell(["c", "d"]), "1"), "who is never told by it (R36)"


SOLD_UNTIL = datetime(2027, 5, 31, 22, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("captured", "has_account", "is_first", "fate"),
    [
        (SOLD_UNTIL - MOMENT, True, True, "fulfil"),
        (SOLD_UNTIL, True, True, "late"),
        (SOLD_UNTIL - MOMENT, False, True, "late"),
        (SOLD_UNTIL - MOMENT, True, False, "duplicate"),
        (SOLD_UNTIL, True, False, "duplicate"),
        (SOLD_UNTIL, False, False, "duplicate"),
        (SOLD_UNTIL - MOMENT, False, False, "duplicate"),
        (SOLD_UNTIL, False, True, "late"),
    ],
)
def test_r49_r57_money_gives_the_right_once_in_time_and_to_somebody_or_goes_back(
    captured: datetime, has_account: bool, is_first: bool, fate: str
) -> None:
    found = rules.fate_of_money(
        captured_at=captured, sold_until=SOLD_UNTIL, has_account=has_account, is_first_payment=is_first
    )
    assert found == fate


def test_r56_an_order_is_asked_about_soon_at_first_and_for_as_long_as_a_bank_may_take() -> None:
    waits = [rules.next_check(AT, checks) - AT for checks in range(100)]
    assert waits[0] == timedelta(minutes=1)
    assert all(earlier <= later for earlier, later in pairwise(waits))
    assert max(waits) <= timedelta(days=1)
    assert sum(waits[:10], timedelta(0)) < timedelta(hours=6)
    assert sum(waits, timedelta(0)) > timedelta(days=30), "never given up while it may still be paid"
