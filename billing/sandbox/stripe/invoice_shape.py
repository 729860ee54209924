"""An invoice and its lines as whole objects; nothing here is written down."""

from billing.sandbox.stripe.books import Books, new_id, whole
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.params import merge_metadata, or_null

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
    "due_date",
    "effective_at",
    "ending_balance",
    "from_invoice",
    "hosted_invoice_url",
    "invoice_pdf",
    "last_finalization_error",
    "latest_revision",
    "next_payment_attempt",
    "number",
    "on_behalf_of",
    "receipt_number",
    "rendering",
    "shipping_cost",
    "shipping_details",
    "statement_descriptor",
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
)
_LISTS = ("customer_tax_ids", "default_tax_rates", "discounts", "total_discount_amounts", "total_pretax_credit_amounts")
_NO_TAX: Json = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}
_MOMENTS = ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")


def cost(item: Json) -> int:
    """Price × quantity in minor units."""
    return int(item["price"]["unit_amount"]) * int(item["quantity"])


def _words(books: Books, item: Json) -> str:
    product = books.find(item["price"]["product"], "product")
    return str(item.get("description") or (product or {}).get("name") or item["price"]["id"])


def _line(item: Json, amount: int, words: str, since: int, until: int, parent: Json | None) -> Json:
    """What will stand on an invoice, before it has a number there."""
    price, quantity = item["price"], int(item["quantity"])
    return {
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": words,
        "discount_amounts": [],
        "discountable": parent is None or parent["type"] == "subscription_item_details",
        "discounts": [],
        "livemode": False,
        "metadata": item["metadata"],
        "parent": parent,
        "period": {"end": until, "start": since},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": None,
        "subtotal": amount,
        "taxes": [],
    }


def plain_line(books: Books, item: Json, subscription: str | None = None) -> Json:
    """A thing bought once, of a session or beside the beginning of a subscription."""
    parent = None if subscription is None else _extra(subscription, proration=False)
    return {
        **_line(item, cost(item), f"{item['quantity']} × {_words(books, item)}", books.stamp, books.stamp, parent),
        "subscription": subscription,
    }


def period_line(books: Books, item: Json, subscription: str, since: int, until: int) -> Json:
    """One whole period of an item; the period of an invoice's line is what is paid for."""
    inner: Json = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
        "subscription_item": item["id"],
    }
    parent = {"invoice_item_details": None, "subscription_item_details": inner, "type": "subscription_item_details"}
    interval, count = item["price"]["recurring"]["interval"], item["price"]["recurring"]["interval_count"]
    rhythm = interval if count == 1 else f"{count} {interval}s"
    price = f"{int(item['price']['unit_amount']) / 100:.2f} {str(item['price']['currency']).upper()}"
    words = f"{item['quantity']} × {_words(books, item)} (at {price} / {rhythm})"
    return {**_line(item, cost(item), words, since, until, parent), "subscription": subscription}


def proration_line(books: Books, item: Json, subscription: str, amount: int, since: int, until: int) -> Json:
    """A part of a period: below zero the unused time of what was, above it the remaining time of what is now."""
    kind = "Unused" if amount < 0 else "Remaining"
    words = f"{kind} time on {item['quantity']} × {_words(books, item)}"
    parent = _extra(subscription, proration=True)
    return {**_line(item, amount, words, since, until, parent), "subscription": subscription}


def _extra(subscription: str, *, proration: bool) -> Json:
    inner: Json = {
        "invoice_item": new_id("ii"),
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
    }
    return {"invoice_item_details": inner, "subscription_item_details": None, "type": "invoice_item_details"}


def subscription_parent(subscription: Json, proration_at: int | None = None) -> Json:
    """``parent`` of an invoice of a subscription, with the subscription's metadata as they are now."""
    inner: Json = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    if proration_at is not None:
        inner["subscription_proration_date"] = proration_at
    return {"quote_details": None, "subscription_details": inner, "type": "subscription_details"}


def due_after_balance(total: int, balance: int) -> tuple[int, int]:
    """What is asked for, and the customer's balance afterwards; a balance below zero is the customer's money.

    What is too small to be collected is carried over.
    """
    asked = total + balance
    return (asked, 0) if asked >= LEAST else (0, asked)


LEAST = 200
"""Least amount in grosz that can be collected (domain 4.2)."""


_TOTALS = ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax")


def _blank() -> Json:
    """A draft without money, buyer or lines."""
    return {
        **dict.fromkeys(_NOTHING),
        **dict.fromkeys(_ZEROS, 0),
        **{name: [] for name in _LISTS},
        "account_country": "PL",
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": _NO_TAX,
        "collection_method": "charge_automatically",
        "customer_tax_exempt": "none",
        "issuer": {"type": "self"},
        "livemode": False,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "status": "draft",
        "status_transitions": dict.fromkeys(_MOMENTS),
        "total_taxes": [],
    }


def build_draft(
    books: Books,
    customer: Json,
    lines: list[Json],
    reason: str,
    *,
    data: Json | None = None,
    subscription: Json | None = None,
    period: tuple[int, int] | None = None,
    key: str | None = None,
) -> Json:
    """A whole draft over these lines. ``period`` is the time over which it gathered them, not what it pays for."""
    key = key or new_id("in")
    given = data or {}
    since, until = period or (books.stamp, books.stamp)
    shown = [{"id": new_id("il"), **line, "invoice": key} for line in lines]
    total = sum(int(line["amount"]) for line in lines)
    balance = int(customer["balance"]) if subscription else 0
    due, _ = due_after_balance(total, balance) if subscription else (total, 0)
    return {
        "id": key,
        "object": "invoice",
        **_blank(),
        **dict.fromkeys(("amount_due", "amount_remaining"), due),
        **dict.fromkeys(_TOTALS, total),
        "billing_reason": reason,
        "created": books.stamp,
        "currency": lines[0]["currency"] if lines else str((subscription or {}).get("currency", "pln")),
        "customer": customer["id"],
        "customer_email": customer["email"],
        "description": or_null(given.get("description")),
        "footer": or_null(given.get("footer")),
        "lines": whole(shown, f"/v1/invoices/{key}/lines"),
        "metadata": merge_metadata({}, given.get("metadata")),
        "parent": subscription_parent(subscription) if subscription else None,
        "period_end": until,
        "period_start": since,
        "starting_balance": balance,
        "test_clock": books.clock,
        "_subscription": subscription["id"] if subscription else None,
    }
