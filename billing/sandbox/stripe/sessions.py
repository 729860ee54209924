"""Checkout Sessions: asked for by us, answered with a page to pay on."""

from collections.abc import Mapping
from typing import cast

from billing.sandbox.stripe import checkout_flow, mandates
from billing.sandbox.stripe.books import Books, public
from billing.sandbox.stripe.catalogue import PRICE_DATA, price_from
from billing.sandbox.stripe.errors import Json, StripeError, invalid
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import (
    UNSET,
    boolean,
    choice,
    integer,
    listed,
    merge_metadata,
    metadata,
    nested,
    span,
    text,
)
from billing.sandbox.stripe.session_shape import build_item, build_session
from billing.sandbox.stripe.subscription_rules import BILLING_MODE, MANDATE_OPTIONS

_LEAST = {"pln": 200, "eur": 50}
"""Least amount of a payment in minor units: 2.00 zł (domain 4.2)."""
_SHORTEST, _LONGEST = 30 * 60, 24 * 60 * 60
_LINE = nested({"price": text(), "price_data": PRICE_DATA, "quantity": integer(1, 999999), "metadata": metadata})
_MESSAGE = nested({"message": text(1200)})
_ENABLED = nested({"enabled": boolean}, ("enabled",))
_PAGE = {
    "adaptive_pricing": nested({"enabled": boolean}),
    "allow_promotion_codes": boolean,
    "billing_address_collection": choice("auto", "required"),
    "consent_collection": nested(
        {"terms_of_service": choice("none", "required"), "promotions": choice("auto", "none")}
    ),
    "custom_text": nested(
        dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"), _MESSAGE)
    ),
    "locale": choice("auto", "pl", "en", "en-GB", "de", "cs", "sk", "lt", "fr", "es", "it", "ru"),
    "phone_number_collection": _ENABLED,
    "submit_type": choice("auto", "book", "donate", "pay", "subscribe"),
    "tax_id_collection": _ENABLED,
}
_INTENT_DATA = nested(
    {
        "description": text(1000),
        "metadata": metadata,
        "receipt_email": text(800),
        "setup_future_usage": choice("off_session", "on_session"),
        "statement_descriptor": text(22),
        "statement_descriptor_suffix": text(22),
    }
)
_SUBSCRIPTION_DATA = nested({"billing_mode": BILLING_MODE, "description": text(500), "metadata": metadata})
_METHOD_OPTIONS = nested(
    {"blik": nested({"mandate_options": MANDATE_OPTIONS, "setup_future_usage": choice("", "none", "off_session")})}
)
_INVOICE_CREATION = nested(
    {
        "enabled": boolean,
        "invoice_data": nested({"description": text(1500), "footer": text(5000), "metadata": metadata}),
    },
    ("enabled",),
)
_CREATE = {
    **_PAGE,
    "mode": choice("payment", "subscription"),
    "line_items": listed(_LINE, 100),
    "success_url": text(),
    "cancel_url": text(),
    "client_reference_id": text(200),
    "customer": text(),
    "customer_email": text(800),
    "customer_creation": choice("always", "if_required"),
    "expires_at": integer(0),
    "metadata": metadata,
    "payment_intent_data": _INTENT_DATA,
    "subscription_data": _SUBSCRIPTION_DATA,
    "invoice_creation": _INVOICE_CREATION,
    "allowed_payment_method_types": listed(text(), 20),
    "excluded_payment_method_types": listed(text(), 20),
    "payment_method_options": _METHOD_OPTIONS,
    "ui_mode": choice("hosted_page"),
}


def _expiry(books: Books, given: Json) -> int:
    expires = int(given.get("expires_at", books.stamp + _LONGEST))
    if expires < books.stamp + _SHORTEST:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, param="expires_at")
    if expires > books.stamp + _LONGEST:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, param="expires_at")
    return expires


def _lines(books: Books, given: Json) -> list[Json]:
    items: list[Json] = []
    for index, line in enumerate(cast("list[Json]", given["line_items"])):
        param = f"line_items[{index}]"
        if bool(line.get("price")) == bool(line.get("price_data")):
            raise invalid("You must specify either `price` or `price_data` for each line item.", param=param)
        if line.get("price"):
            price = books.get(line["price"], "price", f"{param}[price]", in_path=False)
            if not price["active"]:
                raise invalid("The price specified is inactive.", param=f"{param}[price]")
        else:
            price = price_from(books, line["price_data"], f"{param}[price_data]")
        if "quantity" not in line:
            raise invalid(f"Missing required param: {param}[quantity].", code="parameter_missing", param=param)
        product = books.get(price["product"], "product")
        items.append(build_item(price, int(line["quantity"]), str(product["name"])))
    return items


def _check_lines(given: Json, items: list[Json]) -> None:
    recurring = [item["price"]["type"] == "recurring" for item in items]
    if given["mode"] == "payment" and any(recurring):
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices."
        )
        raise invalid(message, param="mode")
    if given["mode"] == "subscription" and not any(recurring):
        raise invalid("You must provide at least one recurring price in `subscription` mode.", param="mode")
    currencies = {str(item["currency"]) for item in items}
    if len(currencies) > 1:
        raise invalid("All prices on a Checkout Session must have the same currency.", param="line_items")
    total = sum(int(item["amount_total"]) for item in items)
    least = _LEAST.get(currencies.pop(), 50)
    if total < least:
        message = f"The Checkout Session's total amount due must add up to at least {least / 100:.2f}."
        raise invalid(message, code="amount_too_small", param="line_items")


def _kinds(given: Json, currency: str, total: int) -> list[str]:
    """Methods offered: what the mode can do, within what is allowed and not excluded.

    Renewing BLIK is offered only where it is asked for by name, and never above what a mandate can carry.
    """
    once = given["mode"] == "payment" and not (given.get("payment_intent_data") or {}).get("setup_future_usage")
    kinds = ["card", "blik", "p24"] if once and currency == "pln" else ["card"]
    if given["mode"] == "subscription" and "blik" in given.get("allowed_payment_method_types", []):
        kinds = ["card", "blik"] if currency == "pln" else ["card"]
        if total > mandates.MOST:
            message = (
                f"The amount due must be no more than {mandates.MOST / 100:.2f} zł to use BLIK in `subscription` mode."
            )
            raise invalid(message, code="amount_too_large", param="line_items")
    allowed = cast("list[str]", given.get("allowed_payment_method_types", kinds))
    excluded = cast("list[str]", given.get("excluded_payment_method_types", []))
    offered = [kind for kind in kinds if kind in allowed and kind not in excluded]
    if not offered:
        message = "No valid payment method types for this Checkout Session."
        raise invalid(message, param="allowed_payment_method_types")
    return offered


def _check_mode(given: Json) -> None:
    wrong = {
        "payment": ("subscription_data",),
        "subscription": ("payment_intent_data", "invoice_creation", "customer_creation"),
    }
    for name in wrong[given["mode"]]:
        if given.get(name) not in (None, UNSET):
            raise invalid(f"You can not pass `{name}` in `{given['mode']}` mode.", param=name)
    if given.get("customer") and given.get("customer_email"):
        message = "You may only specify one of these parameters: customer, customer_email."
        raise invalid(message, param="customer_email")
    for name in ("success_url", "cancel_url"):
        if given.get(name) and not str(given[name]).startswith(("http://", "https://")):
            raise invalid("Not a valid URL", code="url_invalid", param=name)


def create(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/checkout/sessions."""
    _check_mode(given)
    given["expires_at"] = _expiry(books, given)
    customer = books.get(given["customer"], "customer", "customer", in_path=False) if given.get("customer") else None
    items = _lines(books, given)
    _check_lines(given, items)
    total = sum(int(item["amount_total"]) for item in items)
    session = build_session(books, given, items, _kinds(given, str(items[0]["currency"]), total), customer)
    books.save(session, due=session["expires_at"])
    for item in items:
        books.save(item, parent=session["id"])
    return public(session)


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/checkout/sessions/{session}: the metadata."""
    session = books.get(names["session"], "checkout.session", "session")
    session["metadata"] = merge_metadata(session["metadata"], given.get("metadata"))
    due = session["expires_at"] if session["status"] == "open" else None
    return public(books.save(session, due=due))


def expire(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/checkout/sessions/{session}/expire: only an open one."""
    session = books.get(names["session"], "checkout.session", "session")
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of {session['status']}."
        )
        raise StripeError(400, "invalid_request_error", message, stored=True)
    return public(checkout_flow.expire(books, session))


def list_sessions(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/checkout/sessions."""
    found = of_kind("checkout.session").equal(given, "customer", "payment_intent", "subscription", "status")
    found.equal(given.get("customer_details") or {}, email="customer_details.email").spans(given, "created")
    return page(books, found, "/v1/checkout/sessions", given)


def list_lines(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """GET /v1/checkout/sessions/{session}/line_items."""
    session = books.get(names["session"], "checkout.session", "session")
    found = of_kind("item").add("parent = ?", session["id"])
    return page(books, found, f"/v1/checkout/sessions/{session['id']}/line_items", given, oldest_first=True)


_FILTER = {
    "customer": text(),
    "payment_intent": text(),
    "subscription": text(),
    "status": choice("complete", "expired", "open"),
    "customer_details": nested({"email": text()}),
    "created": span,
}
_ONE = "/v1/checkout/sessions/{session}"
OPERATIONS = [
    operation("POST", "/v1/checkout/sessions", create, _CREATE, ("mode", "line_items", "success_url")),
    operation("GET", "/v1/checkout/sessions", list_sessions, {**LIST, **_FILTER}),
    operation("GET", _ONE, lambda books, _, names: public(books.get(names["session"], "checkout.session", "session"))),
    operation("POST", _ONE, update, {"metadata": metadata}),
    operation("POST", f"{_ONE}/expire", expire),
    operation("GET", f"{_ONE}/line_items", list_lines, LIST),
]
