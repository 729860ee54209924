"""What may be asked about a subscription: begin, read, change, end."""

import copy
from collections.abc import Mapping
from typing import Any

from billing.sandbox.stripe import collecting, invoices, subscriptions
from billing.sandbox.stripe.books import Books, public, whole
from billing.sandbox.stripe.changes import Plan, begun_with, plan, unused
from billing.sandbox.stripe.errors import Json, StripeError, card_refused, invalid, missing
from billing.sandbox.stripe.invoice_shape import build_draft
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import UNSET, merge_metadata, or_null, text
from billing.sandbox.stripe.periods import ends, items_of, starts
from billing.sandbox.stripe.subscription_rules import CREATE, END, FILTER, ITEM, UPDATE


def living(books: Books, key: str) -> tuple[Books, Json]:
    """The subscription and the books at its own clock's instant; one that is over cannot be changed."""
    subscription = books.get(key, "subscription")
    if subscription["status"] in subscriptions.OVER:
        message = f"No such subscription: '{subscription['id']}'"
        raise StripeError(404, "invalid_request_error", message, code="resource_missing", param="id", stored=True)
    return books.under(subscription["test_clock"]), subscription


# Begin


def create(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/subscriptions: for a customer who has left a way to pay."""
    customer = books.get(given["customer"], "customer", "customer", in_path=False)
    books = books.under(customer["test_clock"])
    lines = begun_with(books, given["items"], "items")
    method = _method(books, customer, given.get("default_payment_method"))
    subscription = subscriptions.begin(books, customer, lines, method, given)
    _refuse_incomplete(books, subscription, given)
    return public(_end_when(books, subscription, given))


def _method(books: Books, customer: Json, named: str | None) -> Json:
    key = named or customer["invoice_settings"]["default_payment_method"]
    if key is None:
        message = (
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method."
        )
        raise StripeError(400, "invalid_request_error", message, code="resource_missing", stored=True)
    method = books.get(key, "payment_method", "default_payment_method", in_path=False)
    if method["customer"] != customer["id"]:
        message = f"The customer does not have a payment method with the ID {key}."
        raise invalid(message, code="resource_missing", param="default_payment_method")
    return method


def _refuse_incomplete(books: Books, subscription: Json, given: Json) -> None:
    """With ``error_if_incomplete`` a refused payment takes everything back that was begun."""
    invoice = books.get(subscription["latest_invoice"], "invoice")
    if given.get("payment_behavior") == "error_if_incomplete" and invoice["status"] == "open":
        raise card_refused(invoices.last_error(books, invoice))


# Change


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/subscriptions/{id}: what it is for, when it ends, how it is paid, what is noted of it."""
    books, subscription = living(books, names["id"])
    before = copy.deepcopy(subscription)
    if "items" in given or given.get("billing_cycle_anchor") == "now":
        subscription = _change(books, subscription, given)
    if given.get("default_payment_method"):
        _method(books, books.get(subscription["customer"], "customer"), given["default_payment_method"])
    for name in ("description", "default_payment_method", "pause_collection"):
        if name in given:
            subscription[name] = or_null(given[name])
    if subscription["pause_collection"]:
        subscription["pause_collection"] = {"resumes_at": None, **subscription["pause_collection"]}
    if given.get("payment_settings"):
        subscription["payment_settings"] = {**subscription["payment_settings"], **given["payment_settings"]}
    subscription["metadata"] = merge_metadata(subscription["metadata"], given.get("metadata"))
    _set_end(books, subscription, given)
    return public(subscriptions.tell(books, subscription, before))


def _end_when(books: Books, subscription: Json, given: Json) -> Json:
    before = copy.deepcopy(subscription)
    _set_end(books, subscription, given)
    return subscriptions.tell(books, subscription, before)


def _set_end(books: Books, subscription: Json, given: Json) -> None:
    """When it ends by itself, and who said so why; taking the end back takes the words back."""
    if "cancel_at_period_end" in given and "cancel_at" in given:
        raise invalid("You can not pass both cancel_at and cancel_at_period_end.", param="cancel_at")
    said: Json = given.get("cancellation_details") or {}
    details = {**subscription["cancellation_details"], **{name: or_null(value) for name, value in said.items()}}
    if "cancel_at_period_end" in given or "cancel_at" in given:
        at_end = bool(given.get("cancel_at_period_end", False))
        at = ends(subscription) if at_end else _instant(books, subscription, given.get("cancel_at", UNSET))
        asked = subscription["canceled_at"] or books.stamp
        subscription.update(cancel_at_period_end=at_end, cancel_at=at, canceled_at=asked if at else None)
        details = {**details, "reason": "cancellation_requested"} if at else dict.fromkeys(details)
    subscription["cancellation_details"] = details


def _instant(books: Books, subscription: Json, value: Any) -> int | None:
    if value == UNSET:
        return None
    if value in ("min_period_end", "max_period_end"):
        return ends(subscription)
    if int(value) <= books.stamp:
        raise invalid("cancel_at must be a timestamp in the future.", param="cancel_at")
    return int(value)


def _change(books: Books, subscription: Json, given: Json) -> Json:
    """Take the plan on; what it bills now is collected now."""
    intended: Plan = plan(books, subscription, given)
    subscription.clear()
    subscription.update(intended.subscription)
    subscriptions.save(books, subscription)
    if not intended.lines:
        return subscription
    gathered = (starts(subscription), ends(subscription))
    customer = books.get(subscription["customer"], "customer")
    invoice = build_draft(
        books, customer, intended.lines, "subscription_update", subscription=subscription, period=gathered
    )
    subscription["latest_invoice"] = invoice["id"]
    invoice["auto_advance"] = True
    subscriptions.save(books, subscription)
    invoices.finalize(books, invoices.announce_draft(books, invoice, waits=False))
    good = collecting.try_once(books, invoice, subscription)
    if not good and given.get("payment_behavior") == "error_if_incomplete":
        _refuse_incomplete(books, subscription, given)
    subscriptions.follow(books, invoice, good=good)
    return books.get(subscription["id"], "subscription")


def _item(subscription: Json, key: str) -> Json:
    return next(item for item in items_of(subscription) if item["id"] == key)


def _owner(books: Books, key: str) -> Json:
    """The subscription to which an item belongs."""
    where = "AND EXISTS (SELECT 1 FROM json_each(body, '$.items.data') i WHERE json_extract(i.value, '$.id') = ?)"
    found = books.store.all_of("subscription", where, key)
    if not found:
        raise missing("subscription_item", key, "item")
    return found[0]


def list_items(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/subscription_items: those of one subscription, all on one page."""
    subscription = books.get(given["subscription"], "subscription", "subscription", in_path=False)
    return whole(items_of(subscription), "/v1/subscription_items")


def update_item(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/subscription_items/{item}: as by the subscription, with one item."""
    line = {name: given[name] for name in ("price", "price_data", "quantity", "metadata") if name in given}
    rest = {name: given[name] for name in given if name not in line}
    owner = _owner(books, names["item"])
    return _item(update(books, {**rest, "items": [{**line, "id": names["item"]}]}, {"id": owner["id"]}), names["item"])


# End


def cancel(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """DELETE /v1/subscriptions/{id}: it ends now; with ``prorate`` the rest of the period is credited."""
    books, subscription = living(books, names["id"])
    lines = [*subscriptions.pending(subscription)]
    if given.get("prorate"):
        lines += unused(books, subscription, min(books.stamp, ends(subscription)))
    if given.get("invoice_now") and lines:
        gathered = (starts(subscription), books.stamp)
        customer = books.get(subscription["customer"], "customer")
        draft = build_draft(books, customer, lines, "subscription_update", subscription=subscription, period=gathered)
        subscription["latest_invoice"] = draft["id"]
        invoices.finalize(books, invoices.announce_draft(books, draft, waits=False))
        collecting.try_once(books, draft, subscription)
        lines = []
    subscription["_pending"] = lines
    said: Json = given.get("cancellation_details") or {}
    words = {name: or_null(value) for name, value in said.items()}
    return public(subscriptions.end(books, subscription, "cancellation_requested", **words))


# Read


def list_subscriptions(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/subscriptions: without a status the ended ones are left out."""
    found = of_kind("subscription").equal(given, "customer", "test_clock").spans(given, "created")
    for name in ("current_period_start", "current_period_end"):
        found.spans(given, name, within="items.data[0].")
    if "price" in given:
        has = "EXISTS (SELECT 1 FROM json_each(body, '$.items.data') i WHERE json_extract(i.value, '$.price.id') = ?)"
        found.add(has, given["price"])
    status = given.get("status")
    if status is None or status == "ended":
        found.add(
            f"json_extract(body, '$.status') {'NOT ' if status is None else ''}IN ('canceled', 'incomplete_expired')"
        )
    elif status != "all":
        found.add("json_extract(body, '$.status') = ?", status)
    return page(books, found, "/v1/subscriptions", given)


_ONE, _ITEM = "/v1/subscriptions/{id}", "/v1/subscription_items/{item}"
OPERATIONS = [
    operation("GET", "/v1/subscriptions", list_subscriptions, FILTER),
    operation("POST", "/v1/subscriptions", create, CREATE, ("customer", "items")),
    operation("GET", _ONE, lambda books, _, names: public(books.get(names["id"], "subscription"))),
    operation("POST", _ONE, update, UPDATE),
    operation("DELETE", _ONE, cancel, END),
    operation("GET", "/v1/subscription_items", list_items, {**LIST, "subscription": text()}, ("subscription",)),
    operation("GET", _ITEM, lambda books, _, names: _item(_owner(books, names["item"]), names["item"])),
    operation("POST", _ITEM, update_item, ITEM),
]
