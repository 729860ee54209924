"""What happens to a Checkout Session: paid, refused, waiting, settled, expired."""

from billing.sandbox.stripe import intents, invoices, mandates, subscriptions
from billing.sandbox.stripe.books import Books
from billing.sandbox.stripe.customers import make_customer
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.invoice_shape import plain_line
from billing.sandbox.stripe.methods import DELAYED, build_method
from billing.sandbox.stripe.session_shape import details


class Impossible(Exception):
    """The session is not in a state that allows this; the message says which it is in."""


def expire(books: Books, session: Json) -> Json:
    """Close an open session without payment."""
    session.update(status="expired", url=None)
    books.save(session)
    books.emit("checkout.session.expired", session)
    return session


def pay(books: Books, session: Json, kind: str, outcome: str, *, bank: str | None = None) -> Json:
    """A person tries to pay. Raises Impossible unless the session is open and offers this kind."""
    if session["status"] == "open" and session["expires_at"] <= books.instant:
        expire(books, session)
    if session["status"] != "open":
        state = "complete" if session["status"] == "complete" else "expired"
        raise Impossible(f"the session is {state}")
    email = (session["customer_details"] or {}).get("email") or "anna.piaskownica@example.pl"
    method = build_method(books, kind, email, session["customer"], bank)
    if session["mode"] == "subscription":
        return _subscribe(books, session, method, outcome, email)
    return _pay_once(books, session, method, outcome, email)


def _intent(books: Books, session: Json) -> Json:
    """The session's one payment intent, made at the first try."""
    known = books.find(session["payment_intent"], "payment_intent")
    if known is not None:
        return known
    given = {**session["_intent_data"], "customer": session["customer"]}
    kinds = session["payment_method_types"]
    intent = intents.make_intent(books, int(session["amount_total"]), str(session["currency"]), kinds, given)
    session["payment_intent"] = intent["id"]
    return intent


def _pay_once(books: Books, session: Json, method: Json, outcome: str, email: str) -> Json:
    intent = _intent(books, session)
    charge = intents.start(books, intent, method, email)
    if outcome == "declined":
        intents.fail(books, intent, charge)
        return books.save(session, due=session["expires_at"])
    customer = _customer(books, session, email)
    intent["customer"] = charge["customer"] = customer
    if outcome == "pending":
        books.save(charge)
        books.save(intent)
        intents.wait(books, intent, charge)
        session["_charge"] = charge["id"]
    else:
        intents.succeed(books, intent, charge)
        _invoice(books, session, intent, email)
    return _complete(books, session, email, paid=outcome == "succeeded")


def _customer(books: Books, session: Json, email: str) -> str | None:
    """The customer of the session; made when it was asked for or an invoice needs one."""
    wanted = session["customer_creation"] == "always" or (session["invoice_creation"] or {}).get("enabled")
    if session["customer"] is None and wanted:
        session["customer"] = make_customer(books, {"email": email})["id"]
    return session["customer"]


def _invoice(books: Books, session: Json, intent: Json, email: str) -> None:
    if not (session["invoice_creation"] or {}).get("enabled"):
        return
    lines = [plain_line(books, item) for item in books.store.children(session["id"], "item")]
    customer = {**books.get(session["customer"], "customer"), "email": email}
    data = session["invoice_creation"]["invoice_data"]
    session["invoice"] = invoices.settled_once(books, customer, lines, data, intent)["id"]


def _complete(books: Books, session: Json, email: str, *, paid: bool) -> Json:
    session.update(status="complete", url=None, payment_status="paid" if paid else "unpaid")
    session["customer_details"] = details(email)
    books.save(session)
    books.emit("checkout.session.completed", session)
    return session


def _subscribe(books: Books, session: Json, method: Json, outcome: str, email: str) -> Json:
    """Subscription mode: the first invoice is paid now or nothing is made. BLIK gives a mandate for what follows."""
    if outcome == "declined":
        intent = intents.build_intent(
            books, int(session["amount_total"]), str(session["currency"]), session["payment_method_types"], {}
        )
        charge = intents.start(books, intent, method, email)
        intents.fail(books, intent, charge)
        return books.save(session, due=session["expires_at"])
    if session["customer"] is None:
        session["customer"] = make_customer(books, {"email": email})["id"]
    customer = {**books.get(session["customer"], "customer"), "email": email}
    theirs = books.under(customer["test_clock"])
    method["customer"] = customer["id"]
    theirs.save(method)
    given = {**session["_subscription_data"], "payment_settings": None}
    if method["type"] == "blik":
        options = session["_blik"].get("mandate_options") or {}
        mandates.give(theirs, method, options.get("expires_at"))
        given["payment_settings"] = {
            "payment_method_options": {"blik": {"mandate_options": {"expires_at": None} | options}}
        }
    items = books.store.children(session["id"], "item")
    subscription = subscriptions.begin(theirs, customer, items, method, given)
    session.update(subscription=subscription["id"], invoice=subscription["latest_invoice"])
    return _complete(books, session, email, paid=True)


def settle(books: Books, session: Json, *, good: bool) -> Json:
    """The bank answers a waiting payment, once. Raises Impossible when nothing waits."""
    charge = books.find(session["_charge"], "charge")
    if charge is None or charge["status"] != "pending":
        raise Impossible("nothing is waiting to be settled")
    intent = books.get(charge["payment_intent"], "payment_intent")
    session["_charge"] = None
    if not good:
        intents.fail(books, intent, charge)
        books.save(session)
        books.emit("checkout.session.async_payment_failed", session)
        return session
    intents.succeed(books, intent, charge)
    _invoice(books, session, intent, session["customer_details"]["email"])
    session["payment_status"] = "paid"
    books.save(session)
    books.emit("checkout.session.async_payment_succeeded", session)
    return session


def offers(session: Json, kind: str, outcome: str) -> bool:
    """Whether the page offers this method, and whether that method can have this outcome."""
    can_wait = kind in DELAYED and session["mode"] == "payment"
    return kind in session["payment_method_types"] and (outcome != "pending" or can_wait)
