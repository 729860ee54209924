from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.payments.rules import FINAL, OLDEST_KEY, Intent, IntentState, next_step, refund_move

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
STATES: list[IntentState] = ["new", "done", "refused", "unknown"]


def intent(state: IntentState, tries: int = 0) -> Intent:
    return Intent(
        id=UUID(int=1), kind="checkout", target="ord_1", attempt=1, key="checkout-ord_1-1", request={}, state=state,
        provider_id="cs_1" if state == "done" else None, tries=tries, created_at=AT, sent_at=None, fault=None,
    )  # fmt: skip


@given(st.sampled_from(STATES), st.integers(0, 50), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_i14_f35_no_key_is_ever_sent_when_23_hours_old(state: IntentState, tries: int, age: timedelta) -> None:
    step = next_step(intent(state, tries), AT + age)
    assert step != "send" or age < OLDEST_KEY
    assert (step == "read") == (state == "done")
    assert (step == "over") == (state == "refused")


@pytest.mark.parametrize(
    ("state", "tries", "step"),
    [("new", 0, "send"), ("new", 9, "send"), ("unknown", 1, "send"), ("unknown", 2, "look_up")],
)
def test_f29_after_a_second_unknown_answer_we_look_instead_of_sending(
    state: IntentState, tries: int, step: str
) -> None:
    assert next_step(intent(state, tries), AT + timedelta(hours=1)) == step


@given(st.lists(st.sampled_from(["pending", "requires_action", "succeeded", "failed", "canceled"]), max_size=8))
def test_r76_a_refund_that_failed_or_was_cancelled_stays_so(told: list[str]) -> None:
    state = "new"
    for word in told:
        after = refund_move(state, word)
        assert after == state if state in FINAL else after in {"pending", "succeeded", *FINAL}
        state = after
