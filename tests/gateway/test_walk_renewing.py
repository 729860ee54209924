"""Random lives of a subscription: whatever people, banks and time do in whatever order, no grosz goes missing."""

import asyncio
import json
import sqlite3
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.sandbox.stripe import StripeStandIn, create_stripe
from billing.sandbox.stripe.collecting import OUTCOMES
from tests.gateway import description
from tests.gateway.world import KEY, SECRET, Hands

DAY = 86400
SESSION = {
    "mode": "subscription",
    "success_url": "https://shop.example/",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "pln",
    "line_items[0][price_data][unit_amount]": "4499",
    "line_items[0][price_data][recurring][interval]": "month",
    "line_items[0][price_data][product_data][name]": "Dodatki",
    "allowed_payment_method_types[0]": "card",
    "allowed_payment_method_types[1]": "blik",
}
BEHAVIOUR = st.sampled_from(["create_prorations", "always_invoice", "none"])
STEPS = st.one_of(
    st.tuples(st.just("outcome"), st.sampled_from(OUTCOMES)),
    st.tuples(st.just("quantity"), st.integers(1, 4), BEHAVIOUR),
    st.tuples(st.just("interval"), st.sampled_from(["month", "year"]), BEHAVIOUR),
    st.tuples(st.just("off"), st.booleans()),
    st.tuples(st.just("collection"), st.sampled_from(["", "void", "keep_as_draft", "mark_uncollectible"])),
    st.tuples(st.just("stand"), st.booleans()),
    st.tuples(st.just("pay")),
    st.tuples(st.just("revoke")),
    st.tuples(st.just("cancel"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([60, 3600, 3 * DAY, 17 * DAY, 31 * DAY, 400 * DAY])),
)


@dataclass
class Life:
    """One subscription, spoken to without a network."""

    standin: StripeStandIn
    hands: Hands
    http: httpx2.AsyncClient
    subscription: str = ""

    async def api(self, method: str, path: str, **form: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {KEY}"}
        query, data = (form, None) if method == "GET" else (None, form)
        answer = await self.http.request(method, f"/v1/{path}", headers=headers, params=query, data=data)
        assert answer.status_code in (200, 400, 402, 404), answer.text
        return answer.json()

    async def pull(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/control/{path}", content=json.dumps(body))
        assert answer.status_code in (200, 404, 409), answer.text
        return answer.json()

    async def all(self, path: str, **form: Any) -> list[dict[str, Any]]:
        """Every row of a list."""
        rows: list[dict[str, Any]] = []
        while True:
            more = {"starting_after": rows[-1]["id"]} if rows else {}
            page = await self.api("GET", path, limit="100", **form, **more)
            rows += page["data"]
            if not page["has_more"]:
                return rows

    async def begin(self, method: str) -> None:
        session = await self.api("POST", "checkout/sessions", **SESSION)
        told = await self.pull(f"sessions/{session['id']}/pay", method=method, outcome="succeeded")
        self.subscription = told["subscription"]

    async def change(self, **form: str) -> None:
        await self.api("POST", f"subscriptions/{self.subscription}", **form)

    async def step(self, name: str, *facts: Any) -> None:
        one = f"subscriptions/{self.subscription}"
        if name == "outcome":
            await self.pull(f"{one}/next_payment", outcome=facts[0])
        elif name in ("quantity", "interval"):
            await self._change_item(name, *facts)
        elif name == "off":
            await self.change(cancel_at_period_end=str(facts[0]).lower())
        elif name == "collection":
            await self.change(**({"pause_collection[behavior]": facts[0]} if facts[0] else {"pause_collection": ""}))
        elif name == "stand":
            await self.api("POST", f"{one}/{'pause' if facts[0] else 'resume'}")
        elif name == "pay":
            await self.pull(f"invoices/{(await self.api('GET', one))['latest_invoice']}/pay")
        elif name == "revoke":
            await self.pull(f"{one}/mandate", status="inactive")
        elif name == "cancel":
            await self.api("DELETE", one, **({"prorate": "true", "invoice_now": "true"} if facts[0] else {}))
        else:
            self.hands.pass_by(seconds=facts[0])
        await self.standin.deliver_due()

    async def _change_item(self, name: str, fact: Any, behaviour: str) -> None:
        """A change, after a preview whose amounts must come true when it bills at once."""
        standing = await self.api("GET", f"subscriptions/{self.subscription}")
        form = {"items[0][id]": standing["items"]["data"][0]["id"], "proration_behavior": behaviour}
        if name == "quantity":
            form["items[0][quantity]"] = str(fact)
        else:
            amount = {"month": "4499", "year": "44990"}[fact]
            product = standing["items"]["data"][0]["price"]["product"]
            given_price = {"currency": "pln", "unit_amount": amount, "product": product, "recurring[interval]": fact}
            form["items[0][price]"] = (await self.api("POST", "prices", **given_price))["id"]
        details = {_inside("subscription_details", key): value for key, value in form.items()}
        shown = await self.api("POST", "invoices/create_preview", subscription=self.subscription, **details)
        changed = await self.api("POST", f"subscriptions/{self.subscription}", **form)
        if "error" in changed or "error" in shown or shown["billing_reason"] != "subscription_update":
            return
        billed = await self.api("GET", f"invoices/{changed['latest_invoice']}")
        assert [row["amount"] for row in billed["lines"]["data"]] == [row["amount"] for row in shown["lines"]["data"]]
        assert billed["amount_due"] == shown["amount_due"]

    async def judge(self) -> None:
        """Invoices, charges, the customer's credit and the balance tell the same story."""
        subscription = await self.api("GET", f"subscriptions/{self.subscription}")
        invoices = await self.all("invoices", subscription=self.subscription)
        charges = await self.all("charges", customer=subscription["customer"])
        paid = [row for row in invoices if row["status"] == "paid"]
        assert sum(row["amount_paid"] for row in invoices) == sum(row["amount"] for row in charges if row["paid"])
        assert all(row["amount_paid"] == row["amount_due"] and row["amount_remaining"] == 0 for row in paid)
        customer = await self.api("GET", f"customers/{subscription['customer']}")
        numbered = [row for row in invoices if row["number"] and row["status"] != "void"]
        assert customer["balance"] == sum(row["total"] - row["amount_due"] for row in numbered)
        intents = await self.all("payment_intents", customer=subscription["customer"])
        for intent in intents:
            tries = [row for row in charges if row["payment_intent"] == intent["id"]]
            assert sum(row["paid"] for row in tries) == (intent["status"] == "succeeded")
        self._judge_time(subscription, invoices)
        lines = await self.all("balance_transactions")
        assert sum(row["amount"] for row in lines) == sum(row["amount"] for row in charges if row["paid"])

    def _judge_time(self, subscription: dict[str, Any], invoices: list[dict[str, Any]]) -> None:
        if subscription["status"] == "canceled":
            assert all(row["created"] <= subscription["ended_at"] for row in invoices)
            assert not any(row["auto_advance"] or row["next_payment_attempt"] for row in invoices)
        elif subscription["status"] != "paused":
            assert subscription["items"]["data"][0]["current_period_end"] > self.hands.now().timestamp()
        cycles = [row for row in invoices if row["billing_reason"] == "subscription_cycle"]
        spans = [row["lines"]["data"][-1]["period"] for row in reversed(cycles)]
        assert all(earlier["end"] <= later["start"] for earlier, later in pairwise(spans))


def _inside(name: str, key: str) -> str:
    """The form's name of a member within an object."""
    first, bracket, rest = key.partition("[")
    return f"{name}[{first}]{bracket}{rest}"


async def _live(method: str, steps: list[tuple[Any, ...]], *, restarts: bool = False) -> list[Any]:
    """Live through the steps and judge; answers what was written down, in order, without the chance in its ids."""
    with tempfile.TemporaryDirectory() as folder:
        hands = Hands()
        path = Path(folder) / "stripe.db"

        def make() -> StripeStandIn:
            return create_stripe(path, hands.now, "http://127.0.0.1:9/hook", SECRET, "http://stripe.test")

        standins = [make()]

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await standins[-1].app(scope, receive, send)

        try:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://stripe.test") as http:
                life = Life(standins[-1], hands, http)
                # Nobody has to be told; what is told is judged all the same.
                await life.pull("faults", webhooks="drop")
                await life.begin(method)
                for step in steps:
                    await life.step(*step)
                    if restarts:
                        standins[-1].close()
                        standins.append(make())
                        life.standin = standins[-1]
                await life.judge()
            if description.available():
                assert description.audit_store(path) == []
            return _written(path)
        finally:
            standins[-1].close()


def _written(path: Path) -> list[Any]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        objects = connection.execute(
            "SELECT kind, due, json_extract(body, '$.created'), json_extract(body, '$.status'), "
            "json_extract(body, '$.amount') FROM objects ORDER BY seq"
        ).fetchall()
        return objects + connection.execute("SELECT type, created FROM events ORDER BY seq").fetchall()
    finally:
        connection.close()


BUSY: list[tuple[Any, ...]] = [
    ("quantity", 3, "create_prorations"),
    ("wait", 31 * DAY),
    ("outcome", "declined"),
    ("wait", 31 * DAY),
    ("wait", 3600),
    ("outcome", "succeeded"),
    ("wait", 17 * DAY),
    ("interval", "year", "always_invoice"),
    ("stand", True),
    ("stand", False),
    ("wait", 400 * DAY),
    ("cancel", True),
]


async def test_the_same_life_is_written_down_the_same_way_through_restarts_too() -> None:
    first, second = await _live("card", BUSY), await _live("card", BUSY, restarts=True)
    assert len(first) > 100
    assert first == second


@pytest.mark.timeout(240)
@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["card", "blik"]), st.lists(STEPS, max_size=14))
def test_every_grosz_of_a_subscription_is_accounted_for_after_any_life(
    method: str, steps: list[tuple[Any, ...]]
) -> None:
    asyncio.run(_live(method, steps))
