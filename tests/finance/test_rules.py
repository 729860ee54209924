"""Who may do what is one table, and what is not in it is for nobody."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.finance.rules import ROLES, ROUTES, may, navigation, role_in


@pytest.mark.parametrize(
    ("claims", "claim", "role"),
    [
        ({"roles": ["viewer"]}, "roles", "viewer"),
        ({"roles": "auditor"}, "roles", "auditor"),
        ({"roles": ["viewer", "finance", "other"]}, "roles", "finance"),
        ({"roles": ["auditor", "admin"]}, "roles", "admin"),
        ({"realm_access": {"roles": ["finance_lead"]}}, "realm_access.roles", "finance_lead"),
        ({"https://x.example/roles": ["finance"]}, "https://x.example/roles", "finance"),
        ({"roles": []}, "roles", None),
        ({"roles": ["Admin", "root"]}, "roles", None),
        ({"roles": {"admin": True}}, "roles", None),
        ({"roles": [["admin"], 1, None]}, "roles", None),
        ({"roles": 7}, "roles", None),
        ({}, "roles", None),
        ({"realm_access": ["roles"]}, "realm_access.roles", None),
    ],
)
def test_the_strongest_known_role_of_the_claim_counts(claims: dict[str, Any], claim: str, role: str | None) -> None:
    assert role_in(claims, claim) == role


def test_what_has_no_row_is_for_nobody() -> None:
    for role in ROLES:
        assert not may(role, "GET", "/finance/refunds")
        assert not may(role, "POST", "/finance")
        assert not may(role, "DELETE", "/finance/orders/{order}")


def test_a_viewer_can_post_nothing_but_log_out() -> None:
    """R117, S42."""
    posts = [route for route in ROUTES if route.method == "POST"]
    assert [route.path for route in posts if may("viewer", "POST", route.path)] == ["/finance/logout"]


def test_the_navigation_shows_exactly_what_may_be_opened() -> None:
    for role in ROLES:
        shown = {route.path for route in navigation(role)}
        assert shown == {route.path for route in ROUTES if route.nav and may(role, "GET", route.path)}
    assert "/finance/audit" not in {route.path for route in navigation("finance")}


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda more: st.lists(more) | st.dictionaries(st.text(), more))
)
def test_no_claim_breaks_the_reading_of_roles(value: Any) -> None:
    assert role_in({"roles": value}, "roles") in {None, *ROLES}
    assert role_in({"a": value}, "a.b.c") in {None, *ROLES}
