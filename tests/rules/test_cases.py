"""What waits for people: states, outcomes and warnings, whatever comes (I17, R76, R80, R117)."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.cases.rules import KINDS, MOVES, RULES, Kind, NotAnOutcome, State, checked_outcome, is_warned, move
from billing.kernel.errors import Conflict

STATES = get_args(State)
INSTANTS = st.integers(0, 5 * 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
OUTCOMES = sorted({outcome for rule in RULES.values() for outcome in rule.outcomes})


def test_every_kind_has_a_rule_and_a_way_to_end() -> None:
    assert set(RULES) == set(KINDS)
    assert all(rule.outcomes for rule in RULES.values())


@given(st.sampled_from(STATES), st.lists(st.sampled_from(STATES), max_size=12))
def test_i17_whatever_is_tried_a_case_only_ever_goes_along_an_edge_of_the_table(now: State, tried: list[State]) -> None:
    for to in tried:
        if (now, to) in MOVES:
            now = move(now, to)
            assert now == to
        else:
            with pytest.raises(Conflict):
                move(now, to)


@given(st.sampled_from(KINDS), st.sampled_from(OUTCOMES) | st.text(max_size=12))
def test_a_case_ends_as_its_kind_may_and_no_other_way(kind: Kind, outcome: str) -> None:
    if outcome in RULES[kind].outcomes:
        assert checked_outcome(kind, outcome) == outcome
    else:
        with pytest.raises(NotAnOutcome):
            checked_outcome(kind, outcome)


@given(st.sampled_from(KINDS), INSTANTS, st.integers(-60 * 24 * 20, 60 * 24 * 20))
def test_r76_once_warned_a_case_stays_warned_and_it_is_warned_when_it_is_due(
    kind: Kind, due: datetime, by: int
) -> None:
    at = due + timedelta(minutes=by)
    assert is_warned(kind, due, due)
    if is_warned(kind, due, at):
        assert is_warned(kind, due, at + timedelta(minutes=1))
        assert due - at <= max(RULES[kind].warn_before, default=timedelta(0))


@given(st.sampled_from(KINDS), INSTANTS)
def test_a_case_without_a_due_instant_is_never_late(kind: Kind, at: datetime) -> None:
    assert not is_warned(kind, None, at)
