"""Refunds: money back for a charge, at once, later, or not at all."""

from collections.abc import Mapping

from billing.sandbox.stripe import balance
from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json, invalid, refused
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import choice, integer, merge_metadata, metadata, span, text

P24_DAYS = 180
"""Przelewy24 gives nothing back after this many days (domain 4.1)."""


def _standing(books: Books, charge: Json) -> int:
    """What refunds that have not failed take of the charge, in minor units."""
    rows = books.store.children(charge["id"], "refund")
    return sum(int(row["amount"]) for row in rows if row["status"] not in ("failed", "canceled"))


def _charge_of(books: Books, given: Json) -> Json:
    if bool(given.get("charge")) == bool(given.get("payment_intent")) and not given.get("charge"):
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, code="parameter_missing")
    if given.get("charge"):
        return books.get(given["charge"], "charge", "charge", in_path=False)
    intent = books.get(given["payment_intent"], "payment_intent", "payment_intent", in_path=False)
    if intent["latest_charge"] is None or intent["status"] != "succeeded":
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise refused(message, code="payment_intent_unexpected_state", param="payment_intent")
    return books.get(intent["latest_charge"], "charge")


def _check(books: Books, charge: Json, amount: int, left: int) -> None:
    kind = charge["payment_method_details"]["type"]
    if charge["status"] != "succeeded":
        raise refused(f"Charge {charge['id']} has not succeeded and cannot be refunded.", code="charge_not_refundable")
    if charge["disputed"]:
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if kind == "p24" and books.stamp > charge["created"] + P24_DAYS * 86400:
        message = f"Charge {charge['id']} is older than {P24_DAYS} days and can no longer be refunded."
        raise refused(message, code="charge_not_refundable")
    if left <= 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount > left:
        message = f"Refund amount ({amount / 100:.2f}) is greater than unrefunded amount on charge ({left / 100:.2f})"
        raise refused(message, param="amount")


def _build(books: Books, charge: Json, amount: int, given: Json) -> Json:
    kind = str(charge["payment_method_details"]["type"])
    where: Json = {"type": "refund"} if kind == "card" else {"reference": None, "reference_status": "pending"}
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": books.stamp,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {kind: where, "type": kind},
        "metadata": merge_metadata({}, given.get("metadata")),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": given.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending",
        "transfer_reversal": None,
    }


def create(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/refunds: at most what is left of the charge."""
    charge = _charge_of(books, given)
    left = int(charge["amount"]) - _standing(books, charge)
    amount = int(given.get("amount", left))
    _check(books, charge, amount, left)
    refund = _build(books, charge, amount, given)
    transaction = balance.record(books, "refund", -amount, refund)
    refund["balance_transaction"] = transaction["id"]
    outcome = str(charge["_refunds"])
    if outcome == "succeeded":
        refund["status"] = "succeeded"
    else:
        refund["pending_reason"] = "processing"
    # A refund that is to fail looks fine first; it fails as soon as time is looked at (domain 4.2).
    books.save(refund, parent=charge["id"], due=books.instant if outcome == "failed" else None)
    _tell_charge(books, charge)
    books.emit("charge.refunded", charge)
    books.emit("refund.created", refund)
    return public(refund)


def _tell_charge(books: Books, charge: Json) -> None:
    back = _standing(books, charge)
    charge.update(amount_refunded=back, refunded=back >= int(charge["amount"]))
    books.save(charge)


def finish(books: Books, refund: Json, *, good: bool) -> None:
    """A pending refund comes to its end; a failed one gives its money back to our balance."""
    charge = books.get(refund["charge"], "charge")
    refund.pop("pending_reason", None)
    refund["status"] = "succeeded" if good else "failed"
    if not good:
        back = balance.record(books, "refund_failure", int(refund["amount"]), refund)
        refund.update(failure_balance_transaction=back["id"], failure_reason="declined")
    books.save(refund)
    _tell_charge(books, charge)
    books.emit("refund.updated" if good else "refund.failed", refund)
    books.emit("charge.refund.updated", refund)


def set_outcome(books: Books, charge: Json, outcome: str) -> int:
    """How later refunds of the charge end; those pending now end so at once. Answers how many did."""
    charge["_refunds"] = outcome
    books.save(charge)
    waiting = [row for row in books.store.children(charge["id"], "refund") if row["status"] == "pending"]
    if outcome == "pending":
        return 0
    for refund in waiting:
        finish(books, refund, good=outcome == "succeeded")
    return len(waiting)


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/refunds/{refund}: the metadata."""
    refund = books.get(names["refund"], "refund", "refund")
    refund["metadata"] = merge_metadata(refund["metadata"], given.get("metadata"))
    due = books.instant if refund["status"] == "pending" and _will_fail(books, refund) else None
    books.save(refund, due=due)
    books.emit("refund.updated", refund)
    return public(refund)


def _will_fail(books: Books, refund: Json) -> bool:
    return books.get(refund["charge"], "charge")["_refunds"] == "failed"


def list_refunds(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/refunds."""
    found = of_kind("refund").equal(given, "charge", "payment_intent").spans(given, "created")
    return page(books, found, "/v1/refunds", given)


_CREATE = {
    "charge": text(),
    "payment_intent": text(),
    "amount": integer(1),
    "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
    "metadata": metadata,
}
_ONE = "/v1/refunds/{refund}"
OPERATIONS = [
    operation("POST", "/v1/refunds", create, _CREATE),
    operation(
        "GET", "/v1/refunds", list_refunds, {**LIST, "charge": text(), "payment_intent": text(), "created": span}
    ),
    operation("GET", _ONE, lambda books, _, names: public(books.get(names["refund"], "refund", "refund"))),
    operation("POST", _ONE, update, {"metadata": metadata}),
]
