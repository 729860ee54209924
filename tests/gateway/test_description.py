"""The judge itself: it must turn red for what Stripe would never say, and for nothing that it does say."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from billing.sandbox.stripe.api import OPERATIONS
from billing.sandbox.stripe.operations import Operation
from tests.gateway import description
from tests.gateway.world import living

pytestmark = description.needs_description

Plant = Callable[[dict[str, Any]], None]


def _set(name: str, value: object) -> Plant:
    def plant(body: dict[str, Any]) -> None:
        body[name] = value

    return plant


def _drop(name: str) -> Plant:
    def plant(body: dict[str, Any]) -> None:
        del body[name]

    return plant


def _bank(body: dict[str, Any]) -> None:
    body["payment_method_details"]["p24"]["bank"] = "bank_of_nowhere"


PLANTED: list[tuple[str, Plant]] = [
    ("checkout.session", _set("paid", value=True)),
    ("checkout.session", _set("payment_status", "settled")),
    ("checkout.session", _set("amount_total", "4499")),
    ("checkout.session", _drop("expires_at")),
    ("checkout.session", _set("payment_method_types", ["card", 1])),
    ("charge", _bank),
    ("charge", _set("current_period_end", 1)),
    ("payment_intent", _set("status", "paid")),
    ("payment_intent", _drop("created")),
    ("balance_transaction", _set("type", "fee")),
    ("item", _set("amount_total", None)),
    ("event", _drop("type")),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run in which one session was paid by P24."""
    folder = tmp_path_factory.mktemp("planted")

    async def pay() -> None:
        async with living(folder) as world:
            session = await world.session(client_reference_id="ord_planted")
            await world.control(f"sessions/{session.id}/pay", {"method": "p24", "outcome": "succeeded"})
            await world.client.v1.checkout.sessions.retrieve_async(session.id)

    asyncio.run(pay())
    return folder / "stripe.db"


def test_an_honest_run_is_clean(run: Path) -> None:
    assert description.audit_store(run) == []


@pytest.mark.parametrize(("kind", "plant"), PLANTED)
def test_a_planted_wrong_field_turns_the_checker_red(run: Path, tmp_path: Path, kind: str, plant: Plant) -> None:
    copy = tmp_path / "copy.db"
    with sqlite3.connect(run) as original, sqlite3.connect(copy) as target:
        original.backup(target)
    table, where = ("events", "1 = 1") if kind == "event" else ("objects", f"kind = '{kind}'")
    key, text = target.execute(f"SELECT seq, body FROM {table} WHERE {where} LIMIT 1").fetchone()
    body = json.loads(text)
    plant(body)
    target.execute(f"UPDATE {table} SET body = ? WHERE seq = ?", (json.dumps(body), key))
    target.commit()
    target.close()
    original.close()
    assert description.audit_store(copy) != []


@pytest.mark.parametrize(
    "form",
    [
        {"mode": "payment", "payment_method_types": ["card"]},
        {"mode": "gift"},
        {"mode": "payment", "line_items": [{"quantity": "many"}]},
        {"mode": "payment", "line_items": [{"price_data": {"unit_amount": "44.99", "currency": "pln"}}]},
        {"mode": "payment", "expires_at": "tomorrow"},
        {"invented": "1"},
    ],
)
def test_a_request_that_stripe_would_refuse_turns_the_checker_red(form: dict[str, Any]) -> None:
    assert description.check_request("POST", "/v1/checkout/sessions", form) != []


def test_a_request_of_endive_is_fine_although_the_description_is_older() -> None:
    form = {"mode": "payment", "allowed_payment_method_types": ["blik", "card"], "metadata": {"order": "ord_1"}}
    assert description.check_request("POST", "/v1/checkout/sessions", form) == []


def test_an_error_with_an_invented_type_turns_the_checker_red() -> None:
    good: dict[str, Any] = {"error": {"type": "invalid_request_error", "message": "No", "param": "mode"}}
    assert description.check_answer("POST", "/v1/refunds", 400, good) == []
    good["error"]["type"] = "sad_error"
    assert description.check_answer("POST", "/v1/refunds", 400, good) != []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda row: f"{row.method} {row.path}")
def test_the_stand_in_takes_no_parameter_that_stripe_does_not_know(operation: Operation) -> None:
    known = description.parameters(operation.method, operation.path)
    assert known is None or set(operation.rules) <= known
