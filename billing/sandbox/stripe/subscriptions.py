"""The life of a subscription: begun, renewed when its period ends, past due when the bank says no, paused, ended."""

import copy
from typing import Any, cast

from billing.sandbox.stripe import collecting, invoices
from billing.sandbox.stripe.books import Books
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.invoice_shape import build_draft, period_line, plain_line
from billing.sandbox.stripe.periods import HOUR, after, ends, items_of, rhythm, set_period, starts
from billing.sandbox.stripe.subscription_shape import build_subscription

_INCOMPLETE = 23 * HOUR
"""A subscription whose first payment failed waits so long for another try."""
_RUNNING = ("active", "past_due", "unpaid")
OVER = ("canceled", "incomplete_expired")


def save(books: Books, subscription: Json) -> Json:
    """Write it with the next instant at which time changes it."""
    due: float | None = None
    if subscription["status"] in _RUNNING:
        pause: Json = subscription["pause_collection"] or {}
        instants = (ends(subscription), subscription["cancel_at"], pause.get("resumes_at"))
        due = min(instant for instant in instants if instant is not None)
    elif subscription["status"] == "incomplete":
        due = subscription["created"] + _INCOMPLETE
    return books.save(subscription, due=due)


def tell(books: Books, subscription: Json, before: Json) -> Json:
    """Write it down and announce what changed against ``before``; silent when nothing did."""
    save(books, subscription)
    changed = {
        name: value for name, value in before.items() if not name.startswith("_") and subscription.get(name) != value
    }
    if changed:
        books.emit("customer.subscription.updated", subscription, changed)
    return subscription


def begin(books: Books, customer: Json, lines: list[Json], method: Json, given: Json) -> Json:
    """A subscription with its first invoice, which is tried at once; ``incomplete`` when that fails.

    ``lines`` have a price and a quantity; those of a one-time price stand on the first invoice only.
    """
    recurring = [line for line in lines if line["price"]["recurring"]]
    once = [line for line in lines if not line["price"]["recurring"]]
    subscription = build_subscription(books, customer["id"], recurring, str(method["id"]), given)
    save(books, subscription)
    books.emit("customer.subscription.created", subscription)
    before = copy.deepcopy(subscription)
    drafts = periods(books, subscription)
    drafts += [plain_line(books, line, subscription["id"]) for line in once]
    invoice = build_draft(books, customer, drafts, "subscription_create", subscription=subscription)
    subscription["latest_invoice"] = invoice["id"]
    invoices.finalize(books, invoices.announce_draft(books, invoice, waits=False))
    if collecting.try_once(books, invoice, subscription):
        subscription["status"] = "active"
    return tell(books, subscription, before)


def periods(books: Books, subscription: Json) -> list[Json]:
    """Lines for the whole present period of every item."""
    span = (starts(subscription), ends(subscription))
    return [period_line(books, item, subscription["id"], *span) for item in items_of(subscription)]


def come_due(books: Books, subscription: Json) -> None:
    """Time has come: give it up, collect again, end it or renew it."""
    pause: Json = subscription["pause_collection"] or {}
    at_end = subscription["cancel_at_period_end"] and ends(subscription) <= books.instant
    if subscription["status"] == "incomplete":
        _expire(books, subscription)
    elif (pause.get("resumes_at") or books.instant + 1) <= books.instant:
        before = dict(subscription)
        subscription["pause_collection"] = None
        tell(books, subscription, before)
    elif at_end or (subscription["cancel_at"] or books.instant + 1) <= books.instant:
        end(books, subscription, "cancellation_requested")
    elif ends(subscription) <= books.instant:
        renew(books, subscription)
    else:
        save(books, subscription)


def _expire(books: Books, subscription: Json) -> None:
    before = dict(subscription)
    subscription.update(status="incomplete_expired", ended_at=books.stamp)
    for invoice in invoices.of_subscription(books, subscription["id"], "open"):
        invoices.void(books, invoice)
    tell(books, subscription, before)


def following(subscription: Json) -> tuple[int, int]:
    """The period after the present one, on the anchor's day."""
    until = after(int(subscription["billing_cycle_anchor"]), *_times(subscription, int(subscription["_cycle"]) + 1))
    return ends(subscription), until


def _times(subscription: Json, cycle: int) -> tuple[str, int]:
    interval, count = rhythm(items_of(subscription)[0])
    return interval, count * cycle


def renew(books: Books, subscription: Json) -> Json:
    """A new period, with an invoice for it that is collected about an hour later; its draft."""
    before = copy.deepcopy(subscription)
    gathered = (starts(subscription), ends(subscription))
    set_period(subscription, *following(subscription))
    subscription["_cycle"] += 1
    lines = [*pending(subscription), *periods(books, subscription)]
    subscription["_pending"] = []
    invoice = bill(books, subscription, lines, "subscription_cycle", gathered)
    tell(books, subscription, before)
    return invoice


def pending(subscription: Json) -> list[Json]:
    """Prorations that wait for the next invoice."""
    return cast("list[Json]", subscription["_pending"])


def bill(books: Books, subscription: Json, lines: list[Json], reason: str, gathered: tuple[int, int]) -> Json:
    """A draft over these lines, as the subscription's latest invoice; what happens to it then depends on its state."""
    customer = books.get(subscription["customer"], "customer")
    invoice = build_draft(books, customer, lines, reason, subscription=subscription, period=gathered)
    subscription["latest_invoice"] = invoice["id"]
    pause: Json | None = subscription["pause_collection"]
    invoices.announce_draft(books, invoice, waits=pause is None and subscription["status"] != "unpaid")
    if pause and pause["behavior"] != "keep_as_draft":
        invoices.finalize(books, invoice)
        ending = invoices.void if pause["behavior"] == "void" else invoices.write_off
        ending(books, invoice)
    return invoice


def invoice_come_due(books: Books, invoice: Json) -> None:
    """An invoice's hour is over, or the day of the next try has come."""
    if invoice["status"] == "draft":
        invoices.finalize(books, invoice)
    collect(books, invoice)


def collect(books: Books, invoice: Json) -> bool:
    """Try to collect an open invoice of a subscription, and make of the subscription what follows from it."""
    subscription = books.get(invoice["_subscription"], "subscription")
    good = collecting.try_once(books, invoice, subscription)
    follow(books, invoice, good=good)
    return good


def follow(books: Books, invoice: Json, *, good: bool) -> None:
    """What the outcome of a try makes of the invoice's subscription; one that is over stays over."""
    subscription = books.find(invoice["_subscription"], "subscription")
    if subscription is None or subscription["status"] in OVER:
        return
    before = dict(subscription)
    latest = subscription["latest_invoice"] == invoice["id"]
    if good and latest and subscription["status"] == "paused":
        _wake(books, subscription)
    elif good and latest:
        subscription["status"] = "active"
    elif not good and subscription["status"] == "active":
        subscription["status"] = "past_due"
    tell(books, subscription, before)
    if not good and subscription["status"] == "past_due" and invoice["next_payment_attempt"] is None:
        _give_up(books, subscription)


def _wake(books: Books, subscription: Json) -> None:
    """A subscription that was to be resumed when its invoice is paid; another paused one stays so."""
    if subscription.pop("_resuming", False):
        subscription["status"] = "active"
        subscription.pop("status_details", None)
        books.emit("customer.subscription.resumed", subscription)


def _give_up(books: Books, subscription: Json) -> None:
    wanted = collecting.given_up(books)
    if wanted == "canceled":
        end(books, subscription, "payment_failed")
    elif wanted == "unpaid":
        before = dict(subscription)
        subscription["status"] = "unpaid"
        tell(books, subscription, before)


def end(books: Books, subscription: Json, reason: str, **said: Any) -> Json:
    """It is over, now. What is still owed stays owed, and is asked for no more by itself."""
    details = {**subscription["cancellation_details"], **said, "reason": reason}
    subscription.update(status="canceled", ended_at=books.stamp, cancellation_details=details)
    subscription["canceled_at"] = subscription["canceled_at"] or books.stamp
    save(books, subscription)
    for invoice in invoices.of_subscription(books, subscription["id"], "draft", "open"):
        invoices.leave_alone(books, invoice)
    books.emit("customer.subscription.deleted", subscription)
    return subscription


def end_all(books: Books, where: str, key: str) -> None:
    """All of these that are not over are over, now."""
    for subscription in books.store.all_of("subscription", where, key):
        if subscription["status"] not in OVER:
            end(books, subscription, "cancellation_requested")
