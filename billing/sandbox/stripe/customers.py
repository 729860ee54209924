"""Customers and their ways to pay."""

from collections.abc import Mapping

from billing.sandbox.stripe import subscriptions
from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json, invalid
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.methods import address, build_method
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import (
    choice,
    listed,
    merge_metadata,
    metadata,
    nested,
    or_null,
    span,
    text,
)

_ADDRESS = nested({name: text() for name in ("city", "country", "line1", "line2", "postal_code", "state")})
_CUSTOMER = {
    "address": _ADDRESS,
    "description": text(),
    "email": text(512),
    "metadata": metadata,
    "name": text(256),
    "phone": text(20),
    "preferred_locales": listed(text(), 10),
    "tax_exempt": choice("none", "exempt", "reverse"),
    "invoice_settings": nested({"default_payment_method": text(), "footer": text()}),
    "test_clock": text(),
}


def build_customer(books: Books, given: Json) -> Json:
    """A whole customer."""
    settings: Json = given.get("invoice_settings") or {}
    return {
        "id": new_id("cus", 14),
        "object": "customer",
        "address": address(given["address"]) if given.get("address") else None,
        "balance": 0,
        "created": books.stamp,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": or_null(given.get("description")),
        "discount": None,
        "email": or_null(given.get("email")),
        "invoice_prefix": new_id("", 8)[1:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": or_null(settings.get("default_payment_method")),
            "footer": or_null(settings.get("footer")),
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "name": or_null(given.get("name")),
        "next_invoice_sequence": 1,
        "phone": or_null(given.get("phone")),
        "preferred_locales": given.get("preferred_locales", []),
        "shipping": None,
        "tax_exempt": given.get("tax_exempt", "none"),
        "test_clock": or_null(given.get("test_clock")),
    }


def make_customer(books: Books, given: Json) -> Json:
    """Make and announce a customer."""
    customer = books.save(build_customer(books, given))
    books.emit("customer.created", customer)
    return customer


def create(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/customers: one with a test clock lives by it."""
    if given.get("test_clock"):
        books.get(given["test_clock"], "test_helpers.test_clock", "test_clock", in_path=False)
        books = books.under(given["test_clock"])
    return public(make_customer(books, given))


def update(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/customers/{customer}."""
    customer = books.get(names["customer"], "customer", "customer")
    changes = {name: or_null(value) for name, value in given.items() if name not in ("expand", "metadata")}
    if changes.get("address"):
        changes["address"] = address(changes["address"])
    if changes.get("invoice_settings"):
        changes["invoice_settings"] = {**customer["invoice_settings"], **changes["invoice_settings"]}
    changes["metadata"] = merge_metadata(customer["metadata"], given.get("metadata"))
    previous = {name: customer[name] for name, value in changes.items() if customer[name] != value}
    customer.update(changes)
    books.save(customer)
    if previous:
        books.emit("customer.updated", customer, previous)
    return public(customer)


def remove(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """DELETE /v1/customers/{customer}: what is left is its id; its subscriptions end."""
    customer = books.get(names["customer"], "customer", "customer")
    theirs = books.under(customer["test_clock"])
    subscriptions.end_all(theirs, "AND json_extract(body, '$.customer') = ?", customer["id"])
    gone: Json = {"id": customer["id"], "object": "customer", "deleted": True}
    books.save(gone)
    books.emit("customer.deleted", customer)
    return gone


def retrieve(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """GET /v1/customers/{customer}: a deleted one is shown as deleted."""
    gone = books.find(names["customer"], "customer")
    if gone is not None and gone.get("deleted"):
        return gone
    return public(books.get(names["customer"], "customer", "customer"))


def list_customers(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/customers."""
    found = of_kind("customer").equal(given, "email").spans(given, "created")
    return page(books, found, "/v1/customers", given)


def list_methods(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/payment_methods: those kept for a customer."""
    found = of_kind("payment_method").equal(given, "customer", "type").add("json_extract(body, '$.customer') <> ''")
    return page(books, found, "/v1/payment_methods", given)


TEST_METHODS = {"pm_card_visa": "succeeded", "pm_card_chargeCustomerFail": "declined"}
"""Stripe's own cards for tests that are known here, by what becomes of charging them later."""


def attach(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/payment_methods/{payment_method}/attach: a customer's from now on; a card for tests becomes one."""
    customer = books.get(given["customer"], "customer", "customer", in_path=False)
    books = books.under(customer["test_clock"])
    key = names["payment_method"]
    if key in TEST_METHODS:
        method = build_method(books, "card", customer["email"], customer["id"], None)
        method["_outcome"] = TEST_METHODS[key]
    else:
        method = books.get(key, "payment_method", "payment_method")
        if method["customer"] not in (None, customer["id"]):
            raise invalid("The payment method you provided has already been attached to a customer.")
        method["customer"] = customer["id"]
    books.save(method)
    books.emit("payment_method.attached", method)
    return public(method)


OPERATIONS = [
    operation("POST", "/v1/customers", create, _CUSTOMER),
    operation("GET", "/v1/customers", list_customers, {**LIST, "email": text(512), "created": span}),
    operation("GET", "/v1/customers/{customer}", retrieve),
    operation(
        "POST",
        "/v1/customers/{customer}",
        update,
        {name: rule for name, rule in _CUSTOMER.items() if name != "test_clock"},
    ),
    operation("DELETE", "/v1/customers/{customer}", remove),
    operation("GET", "/v1/payment_methods", list_methods, {**LIST, "customer": text(), "type": text()}),
    operation(
        "GET",
        "/v1/payment_methods/{payment_method}",
        lambda books, _, names: public(books.get(names["payment_method"], "payment_method", "payment_method")),
    ),
    operation("POST", "/v1/payment_methods/{payment_method}/attach", attach, {"customer": text()}, ("customer",)),
]
