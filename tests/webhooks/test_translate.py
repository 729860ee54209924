import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.conftest import event
from webhooks.translate import Target, head_of, target_in, target_of


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("checkout.session.completed", "checkout"),
        ("checkout.session.async_payment_succeeded", "checkout"),
        ("checkout.session.async_payment_failed", "checkout"),
        ("checkout.session.expired", "checkout"),
        ("refund.created", "refund"),
        ("refund.updated", "refund"),
        ("refund.failed", "refund"),
        ("charge.refund.updated", "refund"),
        ("charge.refunded", "payment"),
        ("charge.dispute.created", "dispute"),
        ("charge.dispute.closed", "dispute"),
        ("charge.succeeded", "nothing"),
        ("payment_intent.succeeded", "nothing"),
        ("customer.created", "nothing"),
    ],
)
def test_an_event_says_only_which_object_to_read_again(kind: str, subject: str) -> None:
    target = target_of(kind, "obj_1", "pi_1")
    assert target.subject == subject
    assert target.id == {"payment": "pi_1", "nothing": ""}.get(subject, "obj_1")


def test_an_event_that_names_nothing_is_ignored_with_its_reason() -> None:
    assert target_of("charge.refunded", "ch_1", None) == Target("nothing", why="charge.refunded names no payment")


def test_a_stored_event_leads_to_the_same_object_as_when_it_came() -> None:
    head = head_of(event(), expects_livemode=False)
    assert (head.trouble, head.id) == (None, "evt_1")
    assert target_in(head.body) == Target("checkout", "cs_test_1")


@given(st.binary(max_size=400))
def test_s03_any_bytes_become_a_head_that_can_be_stored(body: bytes) -> None:
    head = head_of(body, expects_livemode=False)
    assert head.trouble is not None
    assert head.id.startswith("unreadable_")
    assert head.body == body
