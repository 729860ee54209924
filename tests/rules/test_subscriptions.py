"""The states of a paid right (I17, R131)."""
# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and a zone apart

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.errors import Conflict
from billing.subscriptions import rules
from billing.subscriptions.rules import State

STATES: tuple[State, ...] = get_args(State)
DRAWN = {
    ("active", "past_due"), ("active", "paused"), ("active", "ended"), ("active", "withdrawn"), ("active", "refunded"),
    ("active", "disputed"), ("past_due", "active"), ("past_due", "paused"), ("past_due", "ended"),
    ("past_due", "withdrawn"), ("past_due", "refunded"), ("past_due", "disputed"), ("paused", "active"),
    ("paused", "past_due"), ("paused", "ended"), ("paused", "withdrawn"), ("paused", "refunded"),
    ("paused", "disputed"),
}  # fmt: skip
SINCE = datetime(2026, 9, 1, 8, tzinfo=UTC)
UNTIL = datetime(2027, 6, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(("now", "to"), list(product(STATES, STATES)))
def test_i17_of_all_pairs_of_states_only_the_drawn_edges_are_walked(now: State, to: State) -> None:
    if (now, to) in DRAWN:
        assert rules.move(now, to) == to
    else:
        with pytest.raises(Conflict):
            rules.move(now, to)


@pytest.mark.parametrize("over", ["ended", "withdrawn", "refunded", "disputed"])
def test_i04_nothing_leads_back_from_a_right_that_is_over(over: State) -> None:
    assert not [edge for edge in rules.MOVES if edge[0] == over and edge[1] in rules.ENTITLING]


@given(st.sampled_from(STATES), st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)))
def test_r131_a_right_that_has_run_out_is_ended_by_its_date_alone(state: State, at: datetime) -> None:
    shown = rules.state_at(state, UNTIL, at)
    if at >= UNTIL:
        assert shown not in rules.ENTITLING
        assert not rules.is_entitling(state, SINCE, UNTIL, at)
    else:
        assert shown == state
    assert rules.is_entitling(state, SINCE, UNTIL, at) == (state in {"active", "past_due"} and SINCE <= at < UNTIL)


def test_i05_the_interval_is_half_open_to_the_microsecond() -> None:
    step = timedelta(microseconds=1)
    instants = (SINCE - step, SINCE, UNTIL - step, UNTIL)
    assert [rules.is_entitling("active", SINCE, UNTIL, at) for at in instants] == [False, True, True, False]
