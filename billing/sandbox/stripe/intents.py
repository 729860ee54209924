"""Payment intents and charges: one intent for one thing to pay, one charge for each try."""

from collections.abc import Mapping

from billing.sandbox.stripe import balance
from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json, StripeError
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.methods import billing_details, charge_details, decline_error
from billing.sandbox.stripe.operations import LIST, Run, operation
from billing.sandbox.stripe.params import choice, merge_metadata, metadata, or_null, span, text

_UNUSED = (
    "application",
    "application_fee_amount",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "customer_account",
    "excluded_payment_method_types",
    "last_payment_error",
    "latest_charge",
    "managed_payments",
    "next_action",
    "on_behalf_of",
    "payment_method",
    "payment_method_configuration_details",
    "processing",
    "review",
    "shipping",
    "source",
    "transfer_data",
    "transfer_group",
)
"""Members of a payment intent that stay null until something happens, or for ever."""


def build_intent(books: Books, amount: int, currency: str, kinds: list[str], given: Json) -> Json:
    """A whole payment intent that waits for a method; ``given`` is ``payment_intent_data`` and the customer."""
    key = new_id("pi")
    return {
        "id": key,
        "object": "payment_intent",
        **dict.fromkeys(_UNUSED),
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{key}_secret_{new_id('', 24)[1:]}",
        "confirmation_method": "automatic",
        "created": books.stamp,
        "currency": currency,
        "customer": given.get("customer"),
        "description": or_null(given.get("description")),
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "payment_method_options": {},
        "payment_method_types": kinds,
        "receipt_email": or_null(given.get("receipt_email")),
        "setup_future_usage": or_null(given.get("setup_future_usage")),
        "statement_descriptor": or_null(given.get("statement_descriptor")),
        "statement_descriptor_suffix": or_null(given.get("statement_descriptor_suffix")),
        "status": "requires_payment_method",
    }


def make_intent(books: Books, amount: int, currency: str, kinds: list[str], given: Json) -> Json:
    """Make and announce a payment intent."""
    intent = books.save(build_intent(books, amount, currency, kinds, given))
    books.emit("payment_intent.created", intent)
    return intent


def build_charge(books: Books, intent: Json, method: Json, email: str | None) -> Json:
    """A whole charge, pending until it is settled."""
    key = new_id("ch")
    nothing = ("application", "application_fee", "application_fee_amount", "balance_transaction", "failure_code")
    nothing += ("failure_balance_transaction", "failure_message", "on_behalf_of", "outcome", "receipt_number", "review")
    nothing += ("shipping", "source", "source_transfer", "transfer_data", "transfer_group")
    charge: Json = {
        "id": key,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": billing_details(email),
        "calculated_statement_descriptor": "PIASKOWNICA",
        "captured": False,
        "created": books.stamp,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": charge_details(method, int(intent["amount"])),
        "receipt_email": intent["receipt_email"],
        "receipt_url": f"{books.public_base}/receipts/{key}",
        "refunded": False,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "pending",
    }
    return {**charge, **dict.fromkeys(nothing), "_refunds": "succeeded"}


def _outcome(*, good: bool, reason: str = "generic_decline") -> Json:
    words = "Payment complete." if good else "The bank did not return any further details with this decline."
    return {
        "advice_code": None if good else "try_again_later",
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if good else "declined_by_network",
        "reason": None if good else reason,
        "risk_level": "normal",
        "seller_message": words,
        "type": "authorized" if good else "issuer_declined",
    }


def start(books: Books, intent: Json, method: Json, email: str | None) -> Json:
    """Try to pay: a pending charge for the intent, which is now processing."""
    books.save(method)
    charge = build_charge(books, intent, method, email)
    intent.update(payment_method=method["id"], latest_charge=charge["id"], status="processing", last_payment_error=None)
    books.save(charge)
    books.save(intent)
    return charge


def wait(books: Books, intent: Json, charge: Json) -> None:
    """The bank has not answered yet."""
    books.emit("payment_intent.processing", intent)
    books.emit("charge.pending", charge)


def succeed(books: Books, intent: Json, charge: Json) -> None:
    """The money is there: charge, balance and intent say so."""
    kind = str(charge["payment_method_details"]["type"])
    amount = int(charge["amount"])
    transaction = balance.record(books, "charge", amount, charge, fee=balance.fee_of(kind, amount))
    charge.update(status="succeeded", paid=True, captured=True, amount_captured=amount, outcome=_outcome(good=True))
    charge["balance_transaction"] = transaction["id"]
    intent.update(status="succeeded", amount_received=amount, latest_charge=charge["id"])
    books.save(charge)
    books.save(intent)
    books.emit("charge.succeeded", charge)
    books.emit("payment_intent.succeeded", intent)


def fail(books: Books, intent: Json, charge: Json, why: str = "declined") -> None:
    """The bank said no: the intent waits for another method."""
    method = public(books.get(charge["payment_method"], "payment_method"))
    error = decline_error(method, charge["id"], why)
    charge.update(status="failed", failure_code=error["code"], failure_message=error["message"])
    charge["outcome"] = _outcome(good=False, reason=str(error.get("decline_code", "generic_decline")))
    books.save(charge)
    books.emit("charge.failed", charge)
    _fall_back(books, intent, error)


def fail_before(books: Books, intent: Json, method: Json, why: str) -> None:
    """Refused before the bank was asked: there is no charge."""
    _fall_back(books, intent, decline_error(public(method), None, why))


def _fall_back(books: Books, intent: Json, error: Json) -> None:
    intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)
    books.save(intent)
    books.emit("payment_intent.payment_failed", intent)


def update_intent(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/payment_intents/{intent}."""
    intent = books.get(names["intent"], "payment_intent", "intent")
    if "description" in given:
        intent["description"] = or_null(given["description"])
    intent["metadata"] = merge_metadata(intent["metadata"], given.get("metadata"))
    return public(books.save(intent))


def cancel_intent(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/payment_intents/{intent}/cancel."""
    intent = books.get(names["intent"], "payment_intent", "intent")
    if intent["status"] in ("succeeded", "canceled", "processing"):
        message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        code = "payment_intent_unexpected_state"
        raise StripeError(400, "invalid_request_error", message, code=code, stored=True)
    intent.update(status="canceled", canceled_at=books.stamp, cancellation_reason=given.get("cancellation_reason"))
    books.save(intent)
    books.emit("payment_intent.canceled", intent)
    return public(intent)


def update_charge(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/charges/{charge}."""
    charge = books.get(names["charge"], "charge", "charge")
    if "description" in given:
        charge["description"] = or_null(given["description"])
    charge["metadata"] = merge_metadata(charge["metadata"], given.get("metadata"))
    books.save(charge)
    books.emit("charge.updated", charge)
    return public(charge)


def _lister(kind: str, url: str) -> Run:
    def run(books: Books, given: Json, _: Mapping[str, str]) -> Json:
        found = of_kind(kind).equal(given, "customer", "payment_intent").spans(given, "created")
        return page(books, found, url, given)

    return run


_FILTER = {**LIST, "customer": text(), "created": span}
_CHANGES = {"description": text(1000), "metadata": metadata}
OPERATIONS = [
    operation("GET", "/v1/payment_intents", _lister("payment_intent", "/v1/payment_intents"), _FILTER),
    operation(
        "GET",
        "/v1/payment_intents/{intent}",
        lambda books, _, names: public(books.get(names["intent"], "payment_intent", "intent")),
    ),
    operation("POST", "/v1/payment_intents/{intent}", update_intent, _CHANGES),
    operation(
        "POST",
        "/v1/payment_intents/{intent}/cancel",
        cancel_intent,
        {"cancellation_reason": choice("abandoned", "duplicate", "fraudulent", "requested_by_customer")},
    ),
    operation("GET", "/v1/charges", _lister("charge", "/v1/charges"), {**_FILTER, "payment_intent": text()}),
    operation(
        "GET", "/v1/charges/{charge}", lambda books, _, names: public(books.get(names["charge"], "charge", "charge"))
    ),
    operation("POST", "/v1/charges/{charge}", update_charge, _CHANGES),
]
