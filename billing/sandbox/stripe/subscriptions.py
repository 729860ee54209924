"""Subscriptions: begun at checkout, renewed when their period ends, past due when the card says no, ended."""

import calendar
from datetime import UTC, datetime
from typing import cast

from billing.sandbox.stripe import intents, invoices
from billing.sandbox.stripe.books import Books, new_id, whole
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.params import merge_metadata, or_null

_RETRY = 3 * 86400
_TRIES = 4
"""A refused renewal is tried four times, three days apart; then the subscription ends."""
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
    "test_clock",
    "transfer_data",
    "trial_end",
    "trial_start",
)
_CLASSIC: Json = {"flexible": None, "type": "classic"}


def after(anchor: int, interval: str, count: int) -> int:
    """The instant ``count`` intervals after the anchor; a month without the anchor's day uses its last day."""
    if interval in ("day", "week"):
        return anchor + count * 86400 * (7 if interval == "week" else 1)
    start = datetime.fromtimestamp(anchor, UTC)
    months = start.year * 12 + start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def _item(books: Books, subscription: str, line: Json, since: int, until: int) -> Json:
    return {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": books.stamp,
        "current_period_end": until,
        "current_period_start": since,
        "discounts": [],
        "metadata": {},
        "price": line["price"],
        "quantity": line["quantity"],
        "subscription": subscription,
        "tax_rates": [],
    }


def _build(books: Books, customer: str, lines: list[Json], method: Json, data: Json) -> Json:
    key = new_id("sub")
    recurring = lines[0]["price"]["recurring"]
    until = after(books.stamp, str(recurring["interval"]), int(recurring["interval_count"]))
    items = [_item(books, key, line, books.stamp, until) for line in lines]
    return {
        "id": key,
        "object": "subscription",
        **dict.fromkeys(_NOTHING),
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": books.stamp,
        "billing_mode": _CLASSIC,
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": books.stamp,
        "currency": lines[0]["currency"],
        "customer": customer,
        "default_payment_method": method["id"],
        "default_tax_rates": [],
        "description": or_null(data.get("description")),
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "custom_fields": None, "description": None, "footer": None}
        | {"issuer": {"type": "self"}},
        "items": whole(items, f"/v1/subscription_items?subscription={key}"),
        "livemode": False,
        "metadata": merge_metadata({}, data.get("metadata")),
        "payment_settings": {"payment_method_options": None, "payment_method_types": None}
        | {"save_default_payment_method": "off"},
        "start_date": books.stamp,
        "status": "incomplete",
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "_renewals": "succeeded",
        "_cycle": 1,
    }


def _items(subscription: Json) -> list[Json]:
    return cast("list[Json]", subscription["items"]["data"])


def ends(subscription: Json) -> int:
    """The end of the period that is paid for (or asked to be): it stands on the item."""
    return int(_items(subscription)[0]["current_period_end"])


def save(books: Books, subscription: Json) -> Json:
    """Write it with the next instant at which time changes it."""
    due: float | None = None
    if subscription["status"] == "active":
        due = min(ends(subscription), subscription["cancel_at"] or ends(subscription))
    elif subscription["status"] == "past_due":
        due = subscription["_retry_at"]
    return books.save(subscription, due=due)


def _charge(books: Books, subscription: Json, invoice: Json, method: Json, outcome: str, email: str | None) -> bool:
    given = {"customer": subscription["customer"], "metadata": {}}
    intent = intents.build_intent(books, int(invoice["total"]), str(invoice["currency"]), ["card"], given)
    charge = intents.start(books, intent, method, email)
    if outcome == "succeeded":
        intents.succeed(books, intent, charge)
        invoices.settle(books, invoice, intent)
        return True
    intents.fail(books, intent, charge)
    last = int(invoice["attempt_count"]) + 1 >= _TRIES
    invoices.bounce(books, invoice, intent, None if last else books.stamp + _RETRY)
    return False


def begin(books: Books, customer: str, email: str, lines: list[Json], method: Json, data: Json) -> Json:
    """A paid subscription, with its first invoice; time renews it from here."""
    lines = [line for line in lines if line["price"]["recurring"]] + [
        line for line in lines if not line["price"]["recurring"]
    ]
    recurring = [line for line in lines if line["price"]["recurring"]]
    subscription = _build(books, customer, recurring, method, data)
    billed = [*_items(subscription), *lines[len(recurring) :]]
    period = (books.stamp, ends(subscription))
    books.emit("customer.subscription.created", subscription)
    invoice = invoices.build_invoice(
        books, customer, email, billed, "subscription_create", subscription=subscription, period=period
    )
    _charge(books, subscription, invoice, method, "succeeded", email)
    subscription.update(status="active", latest_invoice=invoice["id"])
    save(books, subscription)
    books.emit("customer.subscription.updated", subscription, {"status": "incomplete", "latest_invoice": None})
    return subscription


def come_due(books: Books, subscription: Json) -> None:
    """Time has come: end it, renew it, or try again to collect."""
    ended = subscription["cancel_at_period_end"] or (subscription["cancel_at"] or books.instant + 1) <= books.instant
    if subscription["status"] == "active" and ended:
        end(books, subscription, "cancellation_requested")
    elif subscription["status"] == "active":
        _renew(books, subscription)
    elif subscription["status"] == "past_due":
        _collect(books, subscription, books.get(subscription["latest_invoice"], "invoice"))


def _renew(books: Books, subscription: Json) -> None:
    recurring = _items(subscription)[0]["price"]["recurring"]
    since = ends(subscription)
    cycle = int(subscription["_cycle"]) + 1
    anchor, count = int(subscription["billing_cycle_anchor"]), int(recurring["interval_count"])
    until = after(anchor, str(recurring["interval"]), count * cycle)
    for item in _items(subscription):
        item.update(current_period_start=since, current_period_end=until)
    subscription["_cycle"] = cycle
    email = (books.find(subscription["customer"], "customer") or {}).get("email")
    invoice = invoices.build_invoice(
        books,
        str(subscription["customer"]),
        email,
        _items(subscription),
        "subscription_cycle",
        subscription=subscription,
        period=(since, until),
    )
    subscription["latest_invoice"] = invoice["id"]
    _collect(books, subscription, invoice)


def _collect(books: Books, subscription: Json, invoice: Json) -> None:
    method = books.get(subscription["default_payment_method"], "payment_method")
    before = {"status": subscription["status"]}
    outcome, email = str(subscription["_renewals"]), invoice["customer_email"]
    if _charge(books, subscription, invoice, method, outcome, email):
        subscription["status"] = "active"
    elif int(invoice["attempt_count"]) >= _TRIES:
        end(books, subscription, "payment_failed")
        return
    else:
        subscription.update(status="past_due", _retry_at=books.stamp + _RETRY)
    save(books, subscription)
    books.emit("customer.subscription.updated", subscription, before)


def end(books: Books, subscription: Json, reason: str) -> None:
    """It is over, now."""
    details = {**subscription["cancellation_details"], "reason": reason}
    subscription.update(status="canceled", ended_at=books.stamp, cancellation_details=details)
    subscription["canceled_at"] = subscription["canceled_at"] or books.stamp
    save(books, subscription)
    books.emit("customer.subscription.deleted", subscription)
