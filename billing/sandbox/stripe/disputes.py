"""Disputes: the bank takes the money back while it is argued over, and keeps it or returns it."""

from collections.abc import Mapping

from billing.sandbox.stripe import balance
from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json, refused
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import boolean, merge_metadata, metadata, nested, or_null, span, text

_FEE = 6500
_WRITTEN = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "uncategorized_text",
)
_FILED = (
    "cancellation_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "receipt",
    "refund_policy",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
)


def _build(books: Books, charge: Json) -> Json:
    kind = str(charge["payment_method_details"]["type"])
    dispute: Json = {
        "id": new_id("dp"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": books.stamp,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys((*_WRITTEN, *_FILED)), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": books.stamp + 9 * 86400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "general",
        "status": "needs_response",
    }
    if kind == "card":
        card: Json = {"brand": "visa", "case_type": "chargeback", "network": "visa", "network_reason_code": "10.4"}
        dispute["payment_method_details"] = {"card": card, "type": "card"}
    return dispute


def open_dispute(books: Books, charge: Json) -> Json:
    """The charge is disputed: its money and a fee leave our balance at once."""
    dispute = _build(books, charge)
    gone = balance.record(
        books, "adjustment", -int(charge["amount"]), dispute, fee=_FEE, category="dispute", description="Chargeback"
    )
    dispute["balance_transactions"] = [public(gone)]
    books.save(dispute, parent=charge["id"])
    charge["disputed"] = True
    books.save(charge)
    books.emit("charge.dispute.created", dispute)
    books.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close(books: Books, dispute: Json, *, won: bool) -> Json:
    """The bank has decided: won gives the money back (not the fee), lost keeps it."""
    dispute["status"] = "won" if won else "lost"
    if won:
        back = balance.record(
            books,
            "adjustment",
            int(dispute["amount"]),
            dispute,
            category="dispute_reversal",
            description="Chargeback reversal",
        )
        dispute["balance_transactions"] = [*dispute["balance_transactions"], public(back)]
    books.save(dispute)
    books.emit("charge.dispute.closed", dispute)
    if won:
        books.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def standing(books: Books, charge: Json) -> Json | None:
    """The dispute of the charge that is not closed."""
    rows = books.store.children(charge["id"], "dispute")
    return next((row for row in rows if row["status"] not in ("won", "lost")), None)


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/disputes/{dispute}: evidence, staged or submitted."""
    dispute = books.get(names["dispute"], "dispute", "dispute")
    if dispute["status"] in ("won", "lost"):
        raise refused("This dispute is already closed")
    evidence: Json = given.get("evidence") or {}
    dispute["evidence"] = dispute["evidence"] | {name: or_null(value) for name, value in evidence.items()}
    details = dispute["evidence_details"]
    details["has_evidence"] = any(dispute["evidence"][name] for name in _WRITTEN)
    if given.get("submit", True) and details["has_evidence"]:
        details["submission_count"] += 1
        dispute["status"] = "under_review"
    dispute["metadata"] = merge_metadata(dispute["metadata"], given.get("metadata"))
    books.save(dispute)
    books.emit("charge.dispute.updated", dispute)
    return public(dispute)


def list_disputes(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/disputes."""
    found = of_kind("dispute").equal(given, "charge", "payment_intent").spans(given, "created")
    return page(books, found, "/v1/disputes", given)


_CHANGES = {"evidence": nested({name: text(20000) for name in _WRITTEN}), "submit": boolean, "metadata": metadata}
_ONE = "/v1/disputes/{dispute}"
OPERATIONS = [
    operation(
        "GET", "/v1/disputes", list_disputes, {**LIST, "charge": text(), "payment_intent": text(), "created": span}
    ),
    operation("GET", _ONE, lambda books, _, names: public(books.get(names["dispute"], "dispute", "dispute"))),
    operation("POST", _ONE, update, _CHANGES),
]
