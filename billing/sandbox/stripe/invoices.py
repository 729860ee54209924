"""Stripe's own invoices: of subscriptions, and of payments that asked for one. Not tax documents (domain 0, fact 9)."""

from collections.abc import Mapping
from typing import cast

from billing.sandbox.stripe.books import Books, new_id, public, whole
from billing.sandbox.stripe.errors import Json, refused
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import choice, merge_metadata, metadata, or_null, span, text

_NOTHING = (
    "account_name",
    "account_tax_ids",
    "application",
    "automatically_finalizes_at",
    "custom_fields",
    "customer_account",
    "customer_address",
    "customer_name",
    "customer_phone",
    "customer_shipping",
    "default_payment_method",
    "default_source",
    "description",
    "due_date",
    "ending_balance",
    "footer",
    "from_invoice",
    "last_finalization_error",
    "latest_revision",
    "next_payment_attempt",
    "on_behalf_of",
    "parent",
    "receipt_number",
    "rendering",
    "shipping_cost",
    "shipping_details",
    "statement_descriptor",
    "test_clock",
    "webhooks_delivered_at",
)
_ZEROS = (
    "amount_overpaid",
    "amount_paid",
    "amount_paid_off_stripe",
    "amount_shipping",
    "attempt_count",
    "post_payment_credit_notes_amount",
    "pre_payment_credit_notes_amount",
    "starting_balance",
)
_LISTS = ("customer_tax_ids", "default_tax_rates", "discounts", "total_discount_amounts", "total_pretax_credit_amounts")


def _line_parent(item: Json, subscription: Json) -> Json:
    inner: Json = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    return {"invoice_item_details": None, "subscription_item_details": inner, "type": "subscription_item_details"}


def build_line(invoice: str, item: Json, since: int, until: int, subscription: Json | None) -> Json:
    """One invoice line from a line of a session or of a subscription."""
    price, quantity = item["price"], int(item["quantity"])
    amount = int(price["unit_amount"]) * quantity
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": item.get("description") or f"{quantity} × {price['id']}",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice,
        "livemode": False,
        "metadata": {},
        "parent": _line_parent(item, subscription) if subscription else None,
        "period": {"end": until, "start": since},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": subscription["id"] if subscription else None,
        "subtotal": amount,
        "taxes": [],
    }


def _blank(books: Books, key: str, given: Json) -> Json:
    """An open invoice without money, buyer or lines."""
    return {
        "id": key,
        "object": "invoice",
        **dict.fromkeys(_NOTHING),
        **dict.fromkeys(_ZEROS, 0),
        **{name: [] for name in _LISTS},
        "account_country": "PL",
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": _NO_TAX,
        "collection_method": "charge_automatically",
        "created": books.stamp,
        "customer_tax_exempt": "none",
        "description": or_null(given.get("description")),
        "effective_at": books.stamp,
        "footer": or_null(given.get("footer")),
        "hosted_invoice_url": f"{books.public_base}/invoices/{key}",
        "invoice_pdf": f"{books.public_base}/invoices/{key}/pdf",
        "issuer": {"type": "self"},
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "number": f"PIASKOWNICA-{books.counter('invoice'):06d}",
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "status": "open",
        "status_transitions": {
            "finalized_at": books.stamp,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "total_taxes": [],
    }


def build_invoice(
    books: Books,
    customer: str,
    email: str | None,
    items: list[Json],
    reason: str,
    *,
    data: Json | None = None,
    subscription: Json | None = None,
    period: tuple[int, int] | None = None,
) -> Json:
    """A whole open invoice over these lines, finalized and announced."""
    key = new_id("in")
    since, until = period or (books.stamp, books.stamp)
    lines = [build_line(key, item, since, until, subscription) for item in items]
    total = sum(int(line["amount"]) for line in lines)
    invoice = {
        **_blank(books, key, data or {}),
        "amount_due": total,
        "amount_remaining": total,
        "billing_reason": reason,
        "currency": items[0]["price"]["currency"],
        "customer": customer,
        "customer_email": email,
        "lines": whole(lines, f"/v1/invoices/{key}/lines"),
        "parent": _parent(subscription) if subscription else None,
        "period_end": until,
        "period_start": since,
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
        "_subscription": subscription["id"] if subscription else None,
    }
    books.save(invoice)
    books.emit("invoice.created", {**invoice, "status": "draft", "number": None, "effective_at": None})
    books.emit("invoice.finalized", invoice)
    return invoice


_NO_TAX: Json = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}


def _parent(subscription: Json) -> Json:
    inner = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": inner, "type": "subscription_details"}


def attach(books: Books, invoice: Json, intent: Json) -> Json:
    """The one payment of the invoice, by this intent."""
    known = books.store.children(invoice["id"], "invoice_payment")
    payment: Json = known[0] if known else {"id": new_id("inpay"), "object": "invoice_payment"}
    paid = intent["status"] == "succeeded"
    payment |= {
        "amount_paid": invoice["total"] if paid else None,
        "amount_requested": invoice["total"],
        "created": payment.get("created", books.stamp),
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "paid" if paid else "open",
        "status_transitions": {"canceled_at": None, "paid_at": books.stamp if paid else None},
    }
    return books.save(public(payment), parent=invoice["id"])


def settle(books: Books, invoice: Json, intent: Json) -> Json:
    """The invoice is paid by this intent."""
    invoice.update(status="paid", amount_paid=invoice["total"], amount_remaining=0, attempted=True)
    invoice.update(attempt_count=invoice["attempt_count"] + 1, next_payment_attempt=None)
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": books.stamp}
    books.save(invoice)
    attach(books, invoice, intent)
    books.emit("invoice.paid", invoice)
    books.emit("invoice.payment_succeeded", invoice)
    return invoice


def bounce(books: Books, invoice: Json, intent: Json, again: int | None) -> Json:
    """A try to pay the invoice failed; ``again`` is the instant of the next one."""
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1, next_payment_attempt=again)
    books.save(invoice)
    attach(books, invoice, intent)
    books.emit("invoice.payment_failed", invoice)
    return invoice


def void(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/invoices/{invoice}/void."""
    invoice = books.get(names["invoice"], "invoice", "invoice")
    if invoice["status"] != "open":
        raise refused("You can only pass in open invoices.", code="invoice_not_editable")
    invoice["status"] = "void"
    invoice["status_transitions"] = {**invoice["status_transitions"], "voided_at": books.stamp}
    books.save(invoice)
    books.emit("invoice.voided", invoice)
    return public(invoice)


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/invoices/{invoice}: metadata and description."""
    invoice = books.get(names["invoice"], "invoice", "invoice")
    if "description" in given:
        invoice["description"] = or_null(given["description"])
    invoice["metadata"] = merge_metadata(cast("Json", invoice["metadata"]), given.get("metadata"))
    books.save(invoice)
    books.emit("invoice.updated", invoice)
    return public(invoice)


def list_invoices(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/invoices."""
    found = of_kind("invoice").equal(given, "customer", "status", subscription="_subscription").spans(given, "created")
    return page(books, found, "/v1/invoices", given)


def list_payments(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/invoice_payments."""
    return page(books, of_kind("invoice_payment").equal(given, "invoice", "status"), "/v1/invoice_payments", given)


_FILTER = {
    **LIST,
    "customer": text(),
    "subscription": text(),
    "status": choice("draft", "open", "paid", "uncollectible", "void"),
    "created": span,
}
_ONE = "/v1/invoices/{invoice}"
OPERATIONS = [
    operation("GET", "/v1/invoices", list_invoices, _FILTER),
    operation("GET", _ONE, lambda books, _, names: public(books.get(names["invoice"], "invoice", "invoice"))),
    operation("POST", _ONE, update, {"metadata": metadata, "description": text(1500)}),
    operation("POST", f"{_ONE}/void", void),
    operation(
        "GET",
        "/v1/invoice_payments",
        list_payments,
        {**LIST, "invoice": text(), "status": choice("canceled", "open", "paid")},
    ),
]
