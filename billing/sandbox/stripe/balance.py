"""Balance transactions and payouts: where the money is. Amounts in minor units."""

from collections.abc import Mapping

from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import choice, span, text

_DAY = 86400
_SETTLING = 3 * _DAY
"""Money of a charge may be paid out three days later; refunds and disputes take it at once."""
_RATES = {"card": 150, "blik": 160, "p24": 220}
"""Fees in hundredths of a percent, rounded half up, beside a fixed 100 per charge."""


def fee_of(method: str, amount: int) -> int:
    """What the stand-in keeps of a charge."""
    return (amount * _RATES.get(method, 150) + 5000) // 10000 + 100


def _fee_details(fee: int, currency: str) -> list[Json]:
    if not fee:
        return []
    words = "Stripe processing fees"
    return [{"amount": fee, "application": None, "currency": currency, "description": words, "type": "stripe_fee"}]


def record(
    books: Books,
    kind: str,
    amount: int,
    source: Json,
    *,
    fee: int = 0,
    category: str = "",
    description: str | None = None,
) -> Json:
    """Write a balance transaction; ``amount`` is signed, ``net`` is what is left after the fee."""
    wait = _SETTLING if kind == "charge" else 0
    transaction: Json = {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": books.stamp + wait,
        "balance_type": "payments",
        "created": books.stamp,
        "currency": source["currency"],
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": _fee_details(fee, str(source["currency"])),
        "net": amount - fee,
        "reporting_category": category or kind,
        "source": source["id"],
        "status": "pending" if wait else "available",
        "type": kind,
        "_payout": None,
    }
    return books.save(transaction)


def today(books: Books, transaction: Json) -> Json:
    """The transaction as it stands now: pending money becomes available by time alone."""
    ready = transaction["available_on"] <= books.instant
    return {**transaction, "status": "available" if ready else "pending"}


def pay_out(books: Books, *, everything: bool) -> Json | None:
    """Make today's payout of all available money (or of everything), or None when there is nothing above zero."""
    waiting = [row for row in books.store.all_of("balance_transaction") if row["_payout"] is None]
    chosen = [row for row in waiting if everything or row["available_on"] <= books.instant]
    total = sum(int(row["net"]) for row in chosen)
    if total <= 0:
        return None
    payout = _build_payout(books, total, str(chosen[0]["currency"]))
    own = record(books, "payout", -total, payout, category="payout", description="STRIPE PAYOUT")
    payout["balance_transaction"] = own["id"]
    for row in [*chosen, own]:
        row["_payout"] = payout["id"]
        books.save(row)
    books.save(payout)
    books.emit("payout.created", {**payout, "status": "in_transit"})
    books.emit("payout.paid", payout)
    return public(payout)


def _build_payout(books: Books, total: int, currency: str) -> Json:
    return {
        "id": new_id("po"),
        "object": "payout",
        "amount": total,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": books.stamp // _DAY * _DAY + _DAY,
        "automatic": True,
        "balance_transaction": None,
        "created": books.stamp,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_1SandboxBankAccount",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "paid",
        "trace_id": None,
        "type": "bank_account",
    }


def retrieve(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """GET /v1/balance_transactions/{id}."""
    return public(today(books, books.get(names["id"], "balance_transaction")))


def list_transactions(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/balance_transactions."""
    found = of_kind("balance_transaction").equal(given, "source", "type", "currency", payout="_payout")
    answer = page(books, found.spans(given, "created"), "/v1/balance_transactions", given)
    answer["data"] = [today(books, row) for row in answer["data"]]
    return answer


def list_payouts(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/payouts."""
    found = of_kind("payout").equal(given, "status").spans(given, "created", "arrival_date")
    return page(books, found, "/v1/payouts", given)


OPERATIONS = [
    operation(
        "GET",
        "/v1/balance_transactions",
        list_transactions,
        {**LIST, "created": span, "payout": text(), "source": text(), "type": text(), "currency": text(3)},
    ),
    operation("GET", "/v1/balance_transactions/{id}", retrieve),
    operation(
        "GET",
        "/v1/payouts",
        list_payouts,
        {
            **LIST,
            "created": span,
            "arrival_date": span,
            "status": choice("paid", "pending", "in_transit", "canceled", "failed"),
        },
    ),
    operation(
        "GET", "/v1/payouts/{payout}", lambda books, _, names: public(books.get(names["payout"], "payout", "payout"))
    ),
]
