"""The states of Stripe's own invoices: draft, open, paid, void, uncollectible. Not tax documents (domain 0, fact 9)."""

from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.invoice_shape import build_draft, due_after_balance
from billing.sandbox.stripe.periods import HOUR


def save(books: Books, invoice: Json) -> Json:
    """Write it with the next instant at which time changes it: finalized, or tried again."""
    due: float | None = None
    if invoice["auto_advance"] and invoice["status"] == "draft":
        due = invoice["automatically_finalizes_at"]
    elif invoice["auto_advance"] and invoice["status"] == "open":
        due = invoice["next_payment_attempt"]
    return books.save(invoice, due=due)


def of_subscription(books: Books, subscription: str, *statuses: str) -> list[Json]:
    """The subscription's invoices in these states, newest first."""
    marks = ", ".join("?" * len(statuses))
    where = f"AND json_extract(body, '$._subscription') = ? AND json_extract(body, '$.status') IN ({marks})"
    return books.store.all_of("invoice", where, subscription, *statuses)


def announce_draft(books: Books, invoice: Json, *, waits: bool) -> Json:
    """Write the draft down; one that waits is finalized and collected about an hour later, by itself."""
    if waits:
        at = books.stamp + HOUR
        invoice.update(auto_advance=True, automatically_finalizes_at=at, next_payment_attempt=at)
    save(books, invoice)
    books.emit("invoice.created", invoice)
    return invoice


def finalize(books: Books, invoice: Json) -> Json:
    """A draft becomes an open invoice with a number; what the customer has to their credit is used up first."""
    invoice.update(status="open", effective_at=books.stamp, automatically_finalizes_at=None)
    invoice["number"] = f"PIASKOWNICA-{books.counter('invoice'):06d}"
    invoice["hosted_invoice_url"] = f"{books.public_base}/invoices/{invoice['id']}"
    invoice["invoice_pdf"] = f"{books.public_base}/invoices/{invoice['id']}/pdf"
    _stamp(books, invoice, "finalized_at")
    if invoice["_subscription"]:
        _use_balance(books, invoice)
    save(books, invoice)
    books.emit("invoice.finalized", invoice)
    return invoice


def _use_balance(books: Books, invoice: Json) -> None:
    customer = books.find(invoice["customer"], "customer")
    if customer is None or customer.get("deleted"):
        return
    before = int(customer["balance"])
    due, left = due_after_balance(int(invoice["total"]), before)
    invoice.update(starting_balance=before, ending_balance=left, amount_due=due, amount_remaining=due)
    _set_balance(books, customer, left)


def _set_balance(books: Books, customer: Json, balance: int) -> None:
    before = int(customer["balance"])
    if balance != before:
        customer["balance"] = balance
        books.save(customer)
        books.emit("customer.updated", customer, {"balance": before})


def _stamp(books: Books, invoice: Json, moment: str) -> None:
    invoice["status_transitions"] = {**invoice["status_transitions"], moment: books.stamp}


def settled_once(books: Books, customer: Json, lines: list[Json], data: Json, intent: Json) -> Json:
    """The invoice of a payment that asked for one: paid as soon as it is there."""
    invoice = announce_draft(books, build_draft(books, customer, lines, "manual", data=data), waits=False)
    return settle(books, finalize(books, invoice), intent)


def attach(books: Books, invoice: Json, intent: Json) -> Json:
    """The one payment of the invoice, by this intent."""
    known = books.store.children(invoice["id"], "invoice_payment")
    payment: Json = known[0] if known else {"id": new_id("inpay"), "object": "invoice_payment"}
    paid = intent["status"] == "succeeded"
    payment |= {
        "amount_paid": intent["amount"] if paid else None,
        "amount_requested": intent["amount"],
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


def intent_of(books: Books, invoice: Json) -> Json | None:
    """The payment intent of the invoice; None until the first try."""
    known = books.store.children(invoice["id"], "invoice_payment")
    return books.find(known[0]["payment"]["payment_intent"], "payment_intent") if known else None


def last_error(books: Books, invoice: Json) -> Json:
    """Why the last try to pay it failed."""
    intent = intent_of(books, invoice)
    return (intent or {}).get("last_payment_error") or {}


def settle(books: Books, invoice: Json, intent: Json | None) -> Json:
    """The invoice is paid by this intent; by none when there was nothing left to collect."""
    invoice.update(status="paid", amount_paid=invoice["amount_due"], amount_remaining=0, attempted=True)
    invoice.update(auto_advance=False, next_payment_attempt=None)
    if intent is not None:
        invoice["attempt_count"] += 1
        attach(books, invoice, intent)
    _stamp(books, invoice, "paid_at")
    save(books, invoice)
    books.emit("invoice.paid", invoice)
    books.emit("invoice.payment_succeeded", invoice)
    return invoice


def bounce(books: Books, invoice: Json, intent: Json, again: int | None) -> Json:
    """A try to pay the invoice failed; ``again`` is the instant of the next one, None when there is none."""
    before = {name: invoice[name] for name in ("attempt_count", "next_payment_attempt")}
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1, next_payment_attempt=again)
    invoice["auto_advance"] = again is not None
    attach(books, invoice, intent)
    save(books, invoice)
    books.emit("invoice.payment_failed", invoice)
    books.emit("invoice.updated", invoice, before)
    return invoice


def void(books: Books, invoice: Json) -> Json:
    """Nobody owes it any more; what it took of the customer's credit, or gave to it, is taken back."""
    customer = books.find(invoice["customer"], "customer")
    if customer is not None and not customer.get("deleted") and invoice["ending_balance"] is not None:
        moved = int(invoice["ending_balance"]) - int(invoice["starting_balance"])
        _set_balance(books, customer, int(customer["balance"]) - moved)
    return _closed(books, invoice, "void", "voided")


def write_off(books: Books, invoice: Json) -> Json:
    """It is owed and will not be collected."""
    return _closed(books, invoice, "uncollectible", "marked_uncollectible")


def _closed(books: Books, invoice: Json, status: str, told: str) -> Json:
    invoice.update(status=status, auto_advance=False, next_payment_attempt=None)
    _stamp(books, invoice, f"{told}_at")
    save(books, invoice)
    books.emit(f"invoice.{told}", invoice)
    return invoice


def leave_alone(books: Books, invoice: Json) -> Json:
    """Time does nothing to it any more; a person may still pay it."""
    if not invoice["auto_advance"]:
        return invoice
    invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
    save(books, invoice)
    books.emit("invoice.updated", invoice, {"auto_advance": True})
    return invoice
