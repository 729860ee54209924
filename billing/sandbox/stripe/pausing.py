"""A subscription that stands still: no periods, no invoices, until it is resumed (API 2026-09-30.endive)."""

import copy
from collections.abc import Mapping

from billing.sandbox.stripe import invoices, subscriptions
from billing.sandbox.stripe.books import Books, public
from billing.sandbox.stripe.changes import BEHAVIOURS, remaining, restart, unused
from billing.sandbox.stripe.errors import Json, refused
from billing.sandbox.stripe.operations import operation
from billing.sandbox.stripe.periods import ends, set_period, starts
from billing.sandbox.stripe.subscription_calls import living
from billing.sandbox.stripe.subscription_rules import PAUSE, RESUME


def pause(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/subscriptions/{subscription}/pause: the unused time is credited to the next invoice."""
    books, subscription = living(books, names["subscription"])
    if subscription["billing_mode"]["type"] != "flexible":
        raise refused("Only subscriptions with `billing_mode[type]=flexible` can be paused.")
    if subscription["status"] != "active":
        raise refused(f"You cannot pause a subscription with a status of {subscription['status']}.")
    since = ((given.get("bill_for") or {}).get("unused_time_from") or {}).get("type", "now")
    if since != "none":
        at = books.stamp if since == "now" else starts(subscription)
        subscription["_pending"] = [*subscriptions.pending(subscription), *unused(books, subscription, at)]
    before = {"status": subscription["status"]}
    why = {"subscription": {"type": "pause_requested"}, "transitioned_at": books.stamp, "type": "subscription"}
    subscription.update(status="paused", status_details={"paused": why})
    if given.get("invoicing_behavior") == "invoice" and subscriptions.pending(subscription):
        _bill(books, subscription, subscriptions.pending(subscription))
    subscriptions.tell(books, subscription, before)
    books.emit("customer.subscription.paused", subscription)
    return public(subscription)


def resume(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/subscriptions/{subscription}/resume: a new period from now, or the old rhythm again."""
    books, subscription = living(books, names["subscription"])
    if subscription["status"] != "paused":
        raise refused("You can only resume a paused subscription.")
    before = copy.deepcopy(subscription)
    lines = [*subscriptions.pending(subscription)]
    if (given.get("billing_cycle_anchor") or {"type": "now"})["type"] == "now":
        restart(books, subscription)
        lines += subscriptions.periods(books, subscription)
    else:
        _catch_up(books, subscription)
        if given.get("proration_behavior", BEHAVIOURS[0]) != "none":
            lines += remaining(books, subscription, int(given.get("proration_date", books.stamp)))
    if lines:
        invoice = _bill(books, subscription, lines)
        if given.get("payment_behavior") == "resume_on_payment_success":
            return _when_paid(books, subscription, invoice, before)
    return public(_awake(books, subscription, before))


def _catch_up(books: Books, subscription: Json) -> None:
    """The period of the old rhythm in which now lies."""
    while ends(subscription) <= books.instant:
        set_period(subscription, *subscriptions.following(subscription))
        subscription["_cycle"] += 1


def _bill(books: Books, subscription: Json, lines: list[Json]) -> Json:
    subscription["_pending"] = []
    gathered = (starts(subscription), books.stamp)
    return subscriptions.bill(books, subscription, lines, "subscription_update", gathered)


def _when_paid(books: Books, subscription: Json, invoice: Json, before: Json) -> Json:
    """It stays paused until its invoice is paid; the first try is now, the others by the schedule."""
    subscription["_resuming"] = True
    subscriptions.tell(books, subscription, before)
    invoices.finalize(books, invoice)
    subscriptions.collect(books, invoice)
    return public(books.get(subscription["id"], "subscription"))


def _awake(books: Books, subscription: Json, before: Json) -> Json:
    subscription["status"] = "active"
    subscription.pop("status_details", None)
    subscriptions.tell(books, subscription, before)
    books.emit("customer.subscription.resumed", subscription)
    return subscription


_ONE = "/v1/subscriptions/{subscription}"
OPERATIONS = [operation("POST", f"{_ONE}/pause", pause, PAUSE), operation("POST", f"{_ONE}/resume", resume, RESUME)]
