"""docs/states.md publishes every move that the code allows, and no other (I17)."""

import re

import pytest

from billing.cases import rules as cases
from billing.checkout import rules as orders
from billing.invoices import rules as invoices
from billing.payments import rules as payments
from billing.subscriptions import renewing_rules as renewals
from billing.subscriptions import rules as subscriptions
from billing.withdrawals import dispute_rules as disputes
from billing.withdrawals import rules as withdrawals
from tests.architecture.sources import ROOT

MOVES: dict[str, frozenset[tuple[str, str]]] = {
    "Orders": frozenset(orders.MOVES),
    "Refunds": frozenset(payments.REFUND_MOVES),
    "Subscriptions": frozenset(subscriptions.MOVES),
    "Renewal": frozenset(renewals.MOVES),
    "Withdrawals": frozenset(withdrawals.MOVES),
    "Disputes": frozenset(disputes.MOVES),
    "Cases": frozenset(cases.MOVES),
    "Invoice requests": frozenset(invoices.MOVES),
}
_ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$")
_STATE = re.compile(r"`(\w+)`")


def published() -> dict[str, frozenset[tuple[str, str]]]:
    """The moves of each section of the document."""
    found: dict[str, set[tuple[str, str]]] = {}
    moves: set[tuple[str, str]] = set()
    for line in (ROOT / "docs/states.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            moves = found.setdefault(line.removeprefix("## "), set())
        elif row := _ROW.match(line):
            moves |= {(row[1], to) for to in _STATE.findall(row[2])}
    return {title: frozenset(edges) for title, edges in found.items()}


@pytest.mark.parametrize("title", MOVES)
def test_the_published_moves_are_those_of_the_code(title: str) -> None:
    assert published()[title] == MOVES[title]


def test_nothing_else_is_published() -> None:
    assert set(published()) == set(MOVES)
