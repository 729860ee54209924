"""A subscription and its items as whole objects."""

from billing.sandbox.stripe.books import Books, new_id, whole
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.params import merge_metadata, or_null
from billing.sandbox.stripe.periods import after, rhythm

_NOTHING = (
    "application",
    "application_fee_percent",
    "billing_cycle_anchor_config",
    "billing_thresholds",
    "cancel_at",
    "canceled_at",
    "customer_account",
    "days_until_due",
    "default_source",
    "ended_at",
    "latest_invoice",
    "managed_payments",
    "next_pending_invoice_item_invoice",
    "on_behalf_of",
    "pause_collection",
    "pending_invoice_item_interval",
    "pending_setup_intent",
    "pending_update",
    "schedule",
    "transfer_data",
    "trial_end",
    "trial_start",
)


def build_item(books: Books, subscription: str, price: Json, quantity: int, since: int, until: int) -> Json:
    """One item: what is taken and how often; the period stands here."""
    return {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": books.stamp,
        "current_period_end": until,
        "current_period_start": since,
        "discounts": [],
        "metadata": {},
        "price": price,
        "quantity": quantity,
        "subscription": subscription,
        "tax_rates": [],
    }


def _mode(given: Json) -> Json:
    asked: Json = given.get("billing_mode") or {}
    if asked.get("type") == "classic":
        return {"flexible": None, "type": "classic"}
    discounts = (asked.get("flexible") or {}).get("proration_discounts", "included")
    return {"flexible": {"proration_discounts": discounts}, "type": "flexible"}


def _settings(given: Json) -> Json:
    asked: Json = given.get("payment_settings") or {}
    return {
        "payment_method_options": asked.get("payment_method_options") or None,
        "payment_method_types": asked.get("payment_method_types"),
        "save_default_payment_method": asked.get("save_default_payment_method", "off"),
    }


def build_subscription(books: Books, customer: str, lines: list[Json], method: str, given: Json) -> Json:
    """A whole incomplete subscription over lines with ``price`` and ``quantity``, its first period beginning now."""
    key = new_id("sub")
    until = after(books.stamp, *rhythm(lines[0]))
    items = [build_item(books, key, line["price"], int(line["quantity"]), books.stamp, until) for line in lines]
    return {
        "id": key,
        "object": "subscription",
        **dict.fromkeys(_NOTHING),
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": books.stamp,
        "billing_mode": _mode(given),
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": books.stamp,
        "currency": lines[0]["price"]["currency"],
        "customer": customer,
        "default_payment_method": method,
        "default_tax_rates": [],
        "description": or_null(given.get("description")),
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "custom_fields": None, "description": None, "footer": None}
        | {"issuer": {"type": "self"}},
        "items": whole(items, f"/v1/subscription_items?subscription={key}"),
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "payment_settings": _settings(given),
        "start_date": books.stamp,
        "status": "incomplete",
        "test_clock": books.clock,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "_cycle": 1,
        "_next": "succeeded",
        "_pending": [],
    }
