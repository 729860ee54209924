"""What may be asked about a subscription: read, change, end."""

from collections.abc import Mapping
from typing import Any

from billing.sandbox.stripe import subscriptions
from billing.sandbox.stripe.books import Books, public
from billing.sandbox.stripe.errors import Json, StripeError, invalid
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import (
    EXPAND,
    UNSET,
    boolean,
    choice,
    integer,
    merge_metadata,
    metadata,
    nested,
    or_null,
    span,
    text,
)


def _living(books: Books, names: Mapping[str, str]) -> Json:
    subscription = books.get(names["id"], "subscription")
    if subscription["status"] == "canceled":
        message = f"No such subscription: '{subscription['id']}'"
        raise StripeError(404, "invalid_request_error", message, code="resource_missing", param="id", stored=True)
    return subscription


def cancel(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """DELETE /v1/subscriptions/{id}: it ends now."""
    subscription = _living(books, names)
    said: Json = given.get("cancellation_details") or {}
    subscription["cancellation_details"] = {**subscription["cancellation_details"], **said}
    subscriptions.end(books, subscription, "cancellation_requested")
    return public(subscription)


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/subscriptions/{id}: when it ends, how it is paid, what is noted of it."""
    subscription = _living(books, names)
    if "cancel_at_period_end" in given and "cancel_at" in given:
        raise invalid("You can not pass both cancel_at and cancel_at_period_end.", param="cancel_at")
    changes: Json = {}
    if "cancel_at_period_end" in given:
        ending = bool(given["cancel_at_period_end"])
        changes = {"cancel_at_period_end": ending, "cancel_at": subscriptions.ends(subscription) if ending else None}
        changes["canceled_at"] = books.stamp if ending else None
    if "cancel_at" in given:
        stamp = None if given["cancel_at"] == UNSET else given["cancel_at"]
        changes = {"cancel_at": stamp, "canceled_at": books.stamp if stamp else None}
    for name in ("description", "default_payment_method"):
        if name in given:
            changes[name] = or_null(given[name])
    changes["metadata"] = merge_metadata(subscription["metadata"], given.get("metadata"))
    previous = {name: subscription[name] for name, value in changes.items() if subscription[name] != value}
    subscription.update(changes)
    subscriptions.save(books, subscription)
    if previous:
        books.emit("customer.subscription.updated", subscription, previous)
    return public(subscription)


def list_subscriptions(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/subscriptions: without a status the ended ones are left out."""
    found = of_kind("subscription").equal(given, "customer").spans(given, "created")
    status = given.get("status")
    if status is None:
        found.add("json_extract(body, '$.status') <> 'canceled'")
    elif status != "all":
        found.add("json_extract(body, '$.status') = ?", "canceled" if status == "ended" else status)
    return page(books, found, "/v1/subscriptions", given)


def _instant_or_unset(value: Any, path: str) -> Any:
    return value if value == UNSET else integer(0)(value, path)


_ONE = "/v1/subscriptions/{id}"
_CHANGES = {
    "cancel_at_period_end": boolean,
    "cancel_at": _instant_or_unset,
    "default_payment_method": text(),
    "description": text(500),
    "metadata": metadata,
}
_FILTER = {
    **LIST,
    "customer": text(),
    "created": span,
    "status": choice("active", "all", "canceled", "ended", "incomplete", "past_due", "paused", "trialing", "unpaid"),
}
_FEEDBACK = choice(
    "",
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
)
_SAID = {"expand": EXPAND, "cancellation_details": nested({"comment": text(), "feedback": _FEEDBACK})}
OPERATIONS = [
    operation("GET", "/v1/subscriptions", list_subscriptions, _FILTER),
    operation("GET", _ONE, lambda books, _, names: public(books.get(names["id"], "subscription"))),
    operation("POST", _ONE, update, _CHANGES),
    operation("DELETE", _ONE, cancel, _SAID),
]
