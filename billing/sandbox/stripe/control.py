"""The strings behind the stand-in: what people and banks do, what goes wrong, what was asked. JSON in, JSON out."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from billing.sandbox.stripe import (
    balance,
    checkout_flow,
    collecting,
    deliveries,
    disputes,
    invoice_calls,
    mandates,
    refunds,
    subscriptions,
)
from billing.sandbox.stripe.books import Books, public
from billing.sandbox.stripe.errors import Json, StripeError

API_FAULTS = (
    "normal",
    "timeout_before",
    "timeout_after",
    "error_500",
    "rate_limit",
    "unauthorized",
    "forbidden",
    "no_balance",
)
Words = tuple[str, ...]


class Wrong(Exception):
    """A refusal: status, code, words, and the fields at fault."""

    def __init__(self, status: int, code: str, message: str, fields: list[str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": {"code": code, "message": message, "fields": fields or []}}


def _read(body: bytes, allowed: Mapping[str, Words | type], required: Words = ()) -> Json:
    """The JSON object sent; unknown, missing and wrong fields are refused by name, all at once."""
    try:
        given = json.loads(body or b"{}")
    except ValueError as fault:
        raise Wrong(400, "bad_json", "the body is not JSON") from fault
    if not isinstance(given, dict):
        raise Wrong(400, "bad_json", "the body is not an object")
    fields = cast("Json", given)
    wrong = [name for name in fields if name not in allowed]
    wrong += [name for name in required if name not in fields]
    for name, values in allowed.items():
        if name in fields and not _fits(fields[name], values):
            wrong.append(name)
    if wrong:
        told = {name: list(v) if isinstance(v, tuple) else v.__name__ for name, v in allowed.items()}
        raise Wrong(400, "bad_fields", f"unknown, missing or wrong: {', '.join(wrong)}; allowed: {told}", wrong)
    return fields


def _fits(value: Any, values: Words | type) -> bool:
    return value in values if isinstance(values, tuple) else isinstance(value, values)


def _object(books: Books, key: str, kind: str) -> Json:
    found = books.find(key, kind)
    if found is None:
        raise Wrong(404, "not_found", f"no {kind} {key}")
    return found


_PAY: Mapping[str, Words | type] = {"method": ("card", "blik", "p24"), "outcome": ("succeeded", "declined", "pending")}


def _pay(books: Books, body: bytes, names: Mapping[str, str]) -> Json:
    given = _read(body, _PAY, ("method", "outcome"))
    session = _object(books, names["session"], "checkout.session")
    kind, outcome = str(given["method"]), str(given["outcome"])
    if session["status"] == "open" and not checkout_flow.offers(session, kind, outcome):
        field = "method" if kind not in session["payment_method_types"] else "outcome"
        raise Wrong(400, "bad_fields", f"{kind} {outcome} is not possible in this session", [field])
    try:
        return public(checkout_flow.pay(books, session, kind, outcome))
    except checkout_flow.Impossible as fault:
        raise Wrong(409, "not_open", str(fault)) from fault


def _settle(books: Books, body: bytes, names: Mapping[str, str]) -> Json:
    given = _read(body, {"outcome": ("succeeded", "failed")}, ("outcome",))
    session = _object(books, names["session"], "checkout.session")
    try:
        return public(checkout_flow.settle(books, session, good=given["outcome"] == "succeeded"))
    except checkout_flow.Impossible as fault:
        raise Wrong(409, "nothing_pending", str(fault)) from fault


def _dispute(books: Books, body: bytes, names: Mapping[str, str]) -> Json:
    given = _read(body, {"outcome": ("opened", "won", "lost")}, ("outcome",))
    charge = _object(books, names["charge"], "charge")
    if charge["status"] != "succeeded" or charge["payment_method_details"]["type"] == "p24":
        raise Wrong(409, "not_disputable", "only a succeeded charge by card or BLIK can be disputed")
    known = disputes.standing(books, charge)
    if known is None and charge["disputed"]:
        raise Wrong(409, "already_closed", "the dispute of this charge is closed")
    if known is not None and given["outcome"] == "opened":
        raise Wrong(409, "already_open", "this charge is disputed already")
    dispute = known or disputes.open_dispute(books, charge)
    if given["outcome"] != "opened":
        disputes.close(books, dispute, won=given["outcome"] == "won")
    return public(dispute)


def _refund_outcome(books: Books, body: bytes, names: Mapping[str, str]) -> Json:
    given = _read(body, {"outcome": ("succeeded", "failed", "pending")}, ("outcome",))
    charge = _object(books, names["charge"], "charge")
    settled = refunds.set_outcome(books, charge, str(given["outcome"]))
    return {"charge": charge["id"], "outcome": given["outcome"], "settled": settled}


def _next_payment(books: Books, body: bytes, names: Mapping[str, str]) -> Json:
    given = _read(body, {"outcome": collecting.OUTCOMES}, ("outcome",))
    subscription = _object(books, names["subscription"], "subscription")
    subscription["_next"] = given["outcome"]
    subscriptions.save(books, subscription)
    return {"subscription": subscription["id"], "outcome": given["outcome"]}


def _mandate(books: Books, body: bytes, names: Mapping[str, str]) -> Json:
    _read(body, {"status": ("inactive",)}, ("status",))
    subscription = _object(books, names["subscription"], "subscription")
    method = _object(books, subscription["default_payment_method"], "payment_method")
    mandate = mandates.of_method(books, method)
    if mandate is None:
        raise Wrong(409, "no_mandate", "the subscription is not paid under a mandate")
    return public(mandates.deactivate(books.under(subscription["test_clock"]), mandate))


def _pay_invoice(books: Books, body: bytes, names: Mapping[str, str]) -> Json:
    given = _read(body, {"outcome": collecting.OUTCOMES})
    invoice = _object(books, names["invoice"], "invoice")
    theirs = books.under(invoice["test_clock"])
    try:
        invoice_calls.settle_now(theirs, invoice, str(given.get("outcome", "succeeded")))
    except StripeError as fault:
        raise Wrong(409, "not_payable", fault.message) from fault
    return public(invoice)


def _renewals(books: Books, body: bytes, _: Mapping[str, str]) -> Json:
    given = _read(body, {"given_up": collecting.GIVEN_UP}, ("given_up",))
    books.store.set("given_up", given["given_up"])
    return {"given_up": given["given_up"]}


def _faults(books: Books, body: bytes, _: Mapping[str, str]) -> Json:
    given = _read(body, {"webhooks": deliveries.MODES, "api": API_FAULTS})
    for name, value in given.items():
        books.store.set(name, value)
    return _show_faults(books, b"", {})


def _show_faults(books: Books, _: bytes, __: Mapping[str, str]) -> Json:
    return {name: books.store.setting(name, "normal") for name in ("webhooks", "api")}


def _payout(books: Books, body: bytes, _: Mapping[str, str]) -> Json:
    given = _read(body, {"include_pending": bool})
    payout = balance.pay_out(books, everything=bool(given.get("include_pending", False)))
    if payout is None:
        raise Wrong(409, "nothing_available", "there is nothing to pay out")
    return payout


def _instant(stamp: float) -> str:
    return datetime.fromtimestamp(stamp, UTC).isoformat().replace("+00:00", "Z")


def _requests(books: Books, _: bytes, __: Mapping[str, str]) -> Json:
    rows = books.store.rows("SELECT method, path, form, key, status, answered, at FROM requests ORDER BY seq")
    data = [
        {
            "method": method,
            "path": path,
            "form": json.loads(form),
            "idempotency_key": key,
            "status": status,
            "answered": bool(answered),
            "at": _instant(at),
        }
        for method, path, form, key, status, answered, at in rows
    ]
    return {"data": data}


def _deliveries(books: Books, _: bytes, __: Mapping[str, str]) -> Json:
    query = (
        "SELECT d.event, e.type, d.endpoint, d.state, d.attempts, d.last_status, d.due FROM deliveries d "
        "JOIN events e ON e.id = d.event ORDER BY d.seq"
    )
    names = ("event", "type", "endpoint", "state", "attempts", "last_status", "due")
    data = [dict(zip(names, row, strict=True)) for row in books.store.rows(query)]
    for row in data:
        row["due"] = None if row["due"] is None else _instant(row["due"])
    return {"data": data}


@dataclass(frozen=True, slots=True)
class Lever:
    """One control: method, path, what it does with the body and the names in the path."""

    method: str
    pattern: re.Pattern[str]
    run: Callable[[Books, bytes, Mapping[str, str]], Json]


LEVERS = [
    Lever("POST", re.compile(r"^/control/sessions/(?P<session>[^/]+)/pay$"), _pay),
    Lever("POST", re.compile(r"^/control/sessions/(?P<session>[^/]+)/settle$"), _settle),
    Lever("POST", re.compile(r"^/control/charges/(?P<charge>[^/]+)/dispute$"), _dispute),
    Lever("POST", re.compile(r"^/control/charges/(?P<charge>[^/]+)/refund-outcome$"), _refund_outcome),
    Lever("POST", re.compile(r"^/control/subscriptions/(?P<subscription>[^/]+)/next_payment$"), _next_payment),
    Lever("POST", re.compile(r"^/control/subscriptions/(?P<subscription>[^/]+)/mandate$"), _mandate),
    Lever("POST", re.compile(r"^/control/invoices/(?P<invoice>[^/]+)/pay$"), _pay_invoice),
    Lever("POST", re.compile(r"^/control/renewals$"), _renewals),
    Lever("POST", re.compile(r"^/control/faults$"), _faults),
    Lever("GET", re.compile(r"^/control/faults$"), _show_faults),
    Lever("POST", re.compile(r"^/control/payouts$"), _payout),
    Lever("GET", re.compile(r"^/control/requests$"), _requests),
    Lever("GET", re.compile(r"^/control/deliveries$"), _deliveries),
]


def pull(books: Books, method: str, path: str, body: bytes) -> tuple[int, Json]:
    """Status and answer of a control call; raises Wrong so that what was begun is taken back."""
    for lever in LEVERS:
        match = lever.pattern.match(path)
        if match is not None and lever.method == method:
            return 200, lever.run(books, body, match.groupdict())
    raise Wrong(404, "not_found", f"no control {method} {path}")
