"""Collecting an invoice of a subscription: finalized, tried, tried again, and what that makes of the subscription."""

from typing import cast

from billing.sandbox.stripe import intents, invoices, mandates
from billing.sandbox.stripe.books import Books
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.periods import DAY

RETRY_DAYS = (3, 5, 7)
"""A refused payment is tried again so many days after the last try; then it is given up."""
OUTCOMES = ("succeeded", "declined", "expired_card")
GIVEN_UP = ("canceled", "unpaid", "past_due")
"""What the account's settings make of a subscription whose last try failed; the first is the default."""


def _why(books: Books, invoice: Json, method: Json, wanted: str) -> str | None:
    """The reason for which the payment fails; None when it succeeds."""
    mandate = mandates.of_method(books, method)
    if mandate is not None and mandate["status"] != "active":
        return "mandate_inactive"
    if mandate is not None and int(invoice["amount_due"]) > mandates.MOST:
        return "too_large"
    # A card can be one that always refuses; what a test asked of the subscription comes before it.
    wanted = str(method.get("_outcome", "succeeded")) if wanted == "succeeded" else wanted
    if wanted == "succeeded":
        return None
    return "off_session" if method["type"] == "blik" else wanted


def _intent(books: Books, invoice: Json, method: Json) -> Json:
    """The invoice's one payment intent, made at the first try."""
    known = invoices.intent_of(books, invoice)
    if known is not None and known["status"] != "canceled":
        return known
    given = {"customer": invoice["customer"], "metadata": {}}
    kinds = [str(method["type"])]
    return intents.make_intent(books, int(invoice["amount_due"]), str(invoice["currency"]), kinds, given)


def pay(books: Books, invoice: Json, method: Json, wanted: str) -> bool:
    """One try to pay an open invoice with this method; nothing is asked of anybody for an invoice of nothing."""
    if int(invoice["amount_due"]) == 0:
        invoices.settle(books, invoice, None)
        return True
    intent = _intent(books, invoice, method)
    why = _why(books, invoice, method, wanted)
    if why == "mandate_inactive":
        intents.fail_before(books, intent, method, why)
    else:
        charge = intents.start(books, intent, method, invoice["customer_email"])
        if why is None:
            intents.succeed(books, intent, charge)
            invoices.settle(books, invoice, intent)
            return True
        intents.fail(books, intent, charge, why)
    invoices.bounce(books, invoice, intent, _again(books, invoice))
    return False


def _again(books: Books, invoice: Json) -> int | None:
    tried = int(invoice["attempt_count"])
    goes_on = invoice["auto_advance"] and tried < len(RETRY_DAYS)
    return books.stamp + RETRY_DAYS[tried] * DAY if goes_on else None


def try_once(books: Books, invoice: Json, subscription: Json) -> bool:
    """One try with the subscription's own method, with the outcome that was asked of it."""
    method = books.get(subscription["default_payment_method"], "payment_method")
    mandate = mandates.of_method(books, method)
    if mandate is not None:
        settings = cast("Json", invoice["payment_settings"])
        invoice["payment_settings"] = {**settings, "default_mandate": mandate["id"]}
    return pay(books, invoice, method, str(subscription["_next"]))


def given_up(books: Books) -> str:
    """What becomes of a subscription whose last try failed."""
    return str(books.store.setting("given_up", GIVEN_UP[0]))
