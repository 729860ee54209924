"""What may be asked about invoices: read, previewed, finalized, paid, voided."""

import copy
from collections.abc import Mapping
from typing import cast

from billing.sandbox.stripe import collecting, invoices, subscriptions
from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.changes import begun_with, plan, unused
from billing.sandbox.stripe.errors import Json, card_refused, invalid, refused
from billing.sandbox.stripe.invoice_shape import build_draft, period_line, subscription_parent
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import boolean, choice, merge_metadata, metadata, nested, or_null, span, text
from billing.sandbox.stripe.periods import ends, items_of, starts
from billing.sandbox.stripe.subscription_rules import PREVIEW
from billing.sandbox.stripe.subscription_shape import build_subscription


def _found(books: Books, names: Mapping[str, str]) -> tuple[Books, Json]:
    invoice = books.get(names["invoice"], "invoice", "invoice")
    return books.under(invoice["test_clock"]), invoice


def void(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/invoices/{invoice}/void."""
    books, invoice = _found(books, names)
    if invoice["status"] not in ("open", "uncollectible"):
        raise refused("You can only pass in open invoices.", code="invoice_not_editable")
    return public(invoices.void(books, invoice))


def finalize(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/invoices/{invoice}/finalize: a draft only; with ``auto_advance`` it is collected at once."""
    books, invoice = _found(books, names)
    if invoice["status"] != "draft":
        raise refused("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    if "auto_advance" in given:
        invoice["auto_advance"] = given["auto_advance"]
    invoice["next_payment_attempt"] = books.stamp if invoice["auto_advance"] else None
    return public(invoices.finalize(books, invoice))


def pay(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/invoices/{invoice}/pay: now, by the subscription's own method or by the one named."""
    books, invoice = _found(books, names)
    if not settle_now(books, invoice, None, given.get("payment_method")):
        raise card_refused(invoices.last_error(books, invoice), keeps=True)
    return public(invoice)


def settle_now(books: Books, invoice: Json, wanted: str | None, named: str | None = None) -> bool:
    """A try to pay a draft, open or written-off invoice, whatever has become of its subscription. May be refused."""
    if invoice["status"] in ("paid", "void"):
        words = "already paid" if invoice["status"] == "paid" else "voided"
        raise refused(f"Invoice is {words}", code="invoice_not_editable")
    subscription = books.find(invoice["_subscription"], "subscription")
    if subscription is None:
        raise refused("There is no way to pay this invoice.", code="invoice_not_editable")
    if invoice["status"] == "draft":
        invoices.finalize(books, invoice)
    key = named or subscription["default_payment_method"]
    method = books.get(key, "payment_method", "payment_method", in_path=False)
    good = collecting.pay(books, invoice, method, wanted or str(subscription["_next"]))
    subscriptions.follow(books, invoice, good=good)
    return good


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/invoices/{invoice}: metadata, description, and whether time goes on with it."""
    books, invoice = _found(books, names)
    if "description" in given:
        invoice["description"] = or_null(given["description"])
    if "auto_advance" in given:
        invoice["auto_advance"] = given["auto_advance"]
    invoice["metadata"] = merge_metadata(cast("Json", invoice["metadata"]), given.get("metadata"))
    invoices.save(books, invoice)
    books.emit("invoice.updated", invoice)
    return public(invoice)


# Preview


def preview(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/invoices/create_preview: what would be billed next; nothing is written down."""
    asked: Json = given.get("subscription_details") or {}
    if not given.get("subscription"):
        return _preview_new(books, given, asked)
    subscription = books.get(given["subscription"], "subscription", "subscription", in_path=False)
    if given.get("customer", subscription["customer"]) != subscription["customer"]:
        raise invalid("The subscription does not belong to the customer.", param="subscription")
    books = books.under(subscription["test_clock"])
    if asked.get("cancel_now"):
        lines = [*subscriptions.pending(subscription)]
        lines += [] if asked.get("proration_behavior") == "none" else unused(books, subscription, books.stamp)
        return _shown(books, subscription, lines, "subscription_update")
    if asked.get("cancel_at_period_end"):
        raise refused("No upcoming invoices for customer", code="invoice_upcoming_none")
    intended = plan(books, subscription, asked)
    if given.get("preview_mode") == "recurring":
        return _next(books, {**intended.subscription, "_pending": []}, intended.proration_at)
    if intended.lines:
        return _shown(books, intended.subscription, intended.lines, "subscription_update", intended.proration_at)
    return _next(books, intended.subscription, intended.proration_at)


def _next(books: Books, subscription: Json, proration_at: int | None) -> Json:
    if subscription["status"] in subscriptions.OVER or subscription["cancel_at_period_end"]:
        raise refused("No upcoming invoices for customer", code="invoice_upcoming_none")
    since, until = subscriptions.following(subscription)
    whole = [period_line(books, item, subscription["id"], since, until) for item in items_of(subscription)]
    lines = [*subscriptions.pending(subscription), *whole]
    return _shown(books, subscription, lines, "upcoming", proration_at, at=since)


def _shown(
    books: Books, subscription: Json, lines: list[Json], reason: str, proration_at: int | None = None, at: int = 0
) -> Json:
    customer = books.get(subscription["customer"], "customer")
    gathered = (starts(subscription), ends(subscription))
    key = new_id("upcoming_in")
    invoice = build_draft(books, customer, lines, reason, subscription=subscription, period=gathered, key=key)
    when = at or books.stamp
    invoice.update(created=when, next_payment_attempt=when, parent=subscription_parent(subscription, proration_at))
    return public(invoice)


def _preview_new(books: Books, given: Json, asked: Json) -> Json:
    """The first invoice of a subscription that does not exist."""
    if not given.get("customer") or not asked.get("items"):
        raise invalid("You must pass either a subscription or a customer with items.", param="customer")
    customer = books.get(given["customer"], "customer", "customer", in_path=False)
    books = books.under(customer["test_clock"])
    lines = begun_with(books, asked["items"], "subscription_details[items]")
    subscription = build_subscription(books, customer["id"], lines, "pm_none", asked)
    invoice = _shown(books, subscription, subscriptions.periods(books, subscription), "subscription_create")
    return {**invoice, "parent": None, "lines": _without_subscription(invoice["lines"])}


def _without_subscription(lines: Json) -> Json:
    shown = copy.deepcopy(lines)
    for line in shown["data"]:
        line.update(parent=None, subscription=None)
    return shown


# Read


def list_invoices(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/invoices."""
    found = of_kind("invoice").equal(given, "customer", "status", subscription="_subscription").spans(given, "created")
    return page(books, found, "/v1/invoices", given)


def list_payments(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/invoice_payments."""
    found = of_kind("invoice_payment").equal(given, "status")
    if "invoice" in given:
        found.add("parent = ?", given["invoice"])
    found.equal(given.get("payment") or {}, payment_intent="payment.payment_intent")
    return page(books, found, "/v1/invoice_payments", given)


_FILTER = {
    **LIST,
    "customer": text(),
    "subscription": text(),
    "status": choice("draft", "open", "paid", "uncollectible", "void"),
    "created": span,
}
_PAYMENTS = {
    **LIST,
    "invoice": text(),
    "payment": nested({"type": choice("payment_intent"), "payment_intent": text()}, ("type",)),
    "status": choice("canceled", "open", "paid"),
}
_ONE = "/v1/invoices/{invoice}"
OPERATIONS = [
    operation("POST", "/v1/invoices/create_preview", preview, PREVIEW),
    operation("GET", "/v1/invoices", list_invoices, _FILTER),
    operation("GET", _ONE, lambda books, _, names: public(books.get(names["invoice"], "invoice", "invoice"))),
    operation("POST", _ONE, update, {"metadata": metadata, "description": text(1500), "auto_advance": boolean}),
    operation("POST", f"{_ONE}/finalize", finalize, {"auto_advance": boolean}),
    operation("POST", f"{_ONE}/pay", pay, {"off_session": boolean, "payment_method": text()}),
    operation("POST", f"{_ONE}/void", void),
    operation("GET", "/v1/invoice_payments", list_payments, _PAYMENTS),
]
