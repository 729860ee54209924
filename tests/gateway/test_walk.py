"""Random lives: whatever people, banks and time do in whatever order, the books agree with themselves."""

import asyncio
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.sandbox.stripe import StripeStandIn, create_stripe
from tests.gateway import description
from tests.gateway.world import KEY, SECRET, Hands

SESSION = {
    "mode": "payment",
    "success_url": "https://shop.example/",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "pln",
    "line_items[0][price_data][unit_amount]": "4499",
    "line_items[0][price_data][product_data][name]": "Dodatki",
}
STEPS = st.one_of(
    st.tuples(st.just("open")),
    st.tuples(
        st.just("pay"), st.sampled_from(["card", "blik", "p24"]), st.sampled_from(["succeeded", "declined", "pending"])
    ),
    st.tuples(st.just("settle"), st.sampled_from(["succeeded", "failed"])),
    st.tuples(st.just("refund"), st.integers(1, 5000)),
    st.tuples(st.just("bank"), st.sampled_from(["succeeded", "failed", "pending"])),
    st.tuples(st.just("dispute"), st.sampled_from(["opened", "won", "lost"])),
    st.tuples(st.just("payout"), st.booleans()),
    st.tuples(st.just("expire")),
    st.tuples(st.just("wait"), st.sampled_from([1, 1800, 86400, 90 * 86400])),
)


@dataclass
class Walk:
    """One life, spoken to without a network."""

    standin: StripeStandIn
    hands: Hands
    http: httpx2.AsyncClient
    sessions: list[str] = field(default_factory=list[str])

    async def api(self, method: str, path: str, **form: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {KEY}"}
        query, data = (form, None) if method == "GET" else (None, form)
        answer = await self.http.request(method, f"/v1/{path}", headers=headers, params=query, data=data)
        assert answer.status_code in (200, 400), answer.text
        return answer.json()

    async def pull(self, path: str, **body: Any) -> None:
        answer = await self.http.post(f"/control/{path}", content=json.dumps(body))
        assert answer.status_code in (200, 400, 404, 409), answer.text

    async def step(self, name: str, *facts: Any) -> None:
        session = self.sessions[-1] if self.sessions else "cs_none"
        charges = (await self.api("GET", "charges"))["data"]
        charge = charges[0]["id"] if charges else "ch_none"
        if name == "open":
            self.sessions.append((await self.api("POST", "checkout/sessions", **SESSION))["id"])
        elif name == "pay":
            await self.pull(f"sessions/{session}/pay", method=facts[0], outcome=facts[1])
        elif name == "settle":
            await self.pull(f"sessions/{session}/settle", outcome=facts[0])
        elif name == "refund":
            await self.api("POST", "refunds", charge=charge, amount=str(facts[0]))
        elif name == "bank":
            await self.pull(f"charges/{charge}/refund-outcome", outcome=facts[0])
        elif name == "dispute":
            await self.pull(f"charges/{charge}/dispute", outcome=facts[0])
        elif name == "payout":
            await self.pull("payouts", include_pending=facts[0])
        elif name == "expire" and self.sessions:
            await self.api("POST", f"checkout/sessions/{session}/expire")
        elif name == "wait":
            self.hands.pass_by(seconds=facts[0])
        await self.standin.deliver_due()

    async def judge(self) -> None:
        """The books agree: sessions with charges, charges with refunds, the balance with all of them."""
        charges = {row["id"]: row for row in (await self.api("GET", "charges", limit="100"))["data"]}
        refunds = (await self.api("GET", "refunds", limit="100"))["data"]
        for charge in charges.values():
            back = sum(r["amount"] for r in refunds if r["charge"] == charge["id"] and r["status"] != "failed")
            assert back == charge["amount_refunded"] <= charge["amount"]
        for key in self.sessions:
            session = await self.api("GET", f"checkout/sessions/{key}")
            mine = [row for row in charges.values() if row["payment_intent"] == session["payment_intent"] is not None]
            paid = [row for row in mine if row["paid"]]
            assert len(paid) == (session["payment_status"] == "paid")
            assert session["status"] == "complete" or not paid
            assert (session["url"] is None) == (session["status"] != "open")
        lines = (await self.api("GET", "balance_transactions", limit="100"))["data"]
        disputes = (await self.api("GET", "disputes", limit="100"))["data"]
        taken = sum(row["amount"] for row in disputes if row["status"] != "won")
        kept = sum(row["amount"] - row["amount_refunded"] for row in charges.values() if row["paid"]) - taken
        assert sum(row["amount"] for row in lines if row["type"] != "payout") == kept
        for payout in (await self.api("GET", "payouts", limit="100"))["data"]:
            own = (await self.api("GET", "balance_transactions", limit="100", payout=payout["id"]))["data"]
            assert sum(row["net"] for row in own) == 0


async def _live(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hands = Hands()
        hands.pass_by(microseconds=142_857)
        path = Path(folder) / "stripe.db"
        # Nobody listens at this address: every event is tried again and given up, which is a life too.
        standin = create_stripe(path, hands.now, "http://127.0.0.1:9/hook", SECRET, "http://stripe.test")
        transport = httpx2.ASGITransport(standin.app)
        try:
            async with httpx2.AsyncClient(transport=transport, base_url="http://stripe.test") as http:
                walk = Walk(standin, hands, http)
                for step in [("open",), *steps]:
                    await walk.step(*step)
                await walk.judge()
            if description.available():
                assert description.audit_store(path) == []
        finally:
            standin.close()


@pytest.mark.timeout(120)
@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_the_books_agree_after_any_life(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(_live(steps))
