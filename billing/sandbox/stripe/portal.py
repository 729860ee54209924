"""Billing portal sessions, and test clocks (which here stand for themselves: the sandbox has its own clock)."""

from collections.abc import Mapping

from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json, invalid, refused
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import choice, integer, or_null, text

_CONFIGURATION = "bpc_1SandboxDefault"
_STAY = 30 * 86400


def create_session(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/billing_portal/sessions."""
    customer = books.get(given["customer"], "customer", "customer", in_path=False)
    key = new_id("bps")
    session: Json = {
        "id": key,
        "object": "billing_portal.session",
        "configuration": _CONFIGURATION,
        "created": books.stamp,
        "customer": customer["id"],
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": given.get("locale"),
        "on_behalf_of": None,
        "return_url": or_null(given.get("return_url")),
        "url": f"{books.public_base}/portal/{key}",
    }
    return public(books.save(session))


def create_clock(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/test_helpers/test_clocks."""
    clock: Json = {
        "id": new_id("clock"),
        "object": "test_helpers.test_clock",
        "created": books.stamp,
        "deletes_after": books.stamp + _STAY,
        "frozen_time": given["frozen_time"],
        "livemode": False,
        "name": or_null(given.get("name")),
        "status": "ready",
        "status_details": {},
    }
    books.save(clock)
    books.emit("test_helpers.test_clock.created", clock)
    return public(clock)


def advance_clock(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/test_helpers/test_clocks/{test_clock}/advance: forward only."""
    clock = books.get(names["test_clock"], "test_helpers.test_clock", "test_clock")
    if int(given["frozen_time"]) <= int(clock["frozen_time"]):
        raise invalid("The new frozen time must be after the present one.", param="frozen_time")
    if clock["status"] != "ready":
        raise refused("The test clock is advancing.")
    clock["frozen_time"] = given["frozen_time"]
    books.save(clock)
    books.emit("test_helpers.test_clock.ready", clock)
    return public(clock)


def delete_clock(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """DELETE /v1/test_helpers/test_clocks/{test_clock}."""
    clock = books.get(names["test_clock"], "test_helpers.test_clock", "test_clock")
    books.store.remove(clock["id"])
    books.emit("test_helpers.test_clock.deleted", clock)
    return {"id": clock["id"], "object": "test_helpers.test_clock", "deleted": True}


_CLOCKS = "/v1/test_helpers/test_clocks"
_ONE = f"{_CLOCKS}/{{test_clock}}"
OPERATIONS = [
    operation(
        "POST",
        "/v1/billing_portal/sessions",
        create_session,
        {"customer": text(), "return_url": text(), "locale": choice("auto", "pl", "en", "en-GB")},
        ("customer",),
    ),
    operation("POST", _CLOCKS, create_clock, {"frozen_time": integer(0), "name": text(300)}, ("frozen_time",)),
    operation(
        "GET",
        _CLOCKS,
        lambda books, given, _: page(books, of_kind("test_helpers.test_clock"), _CLOCKS, given),
        LIST,
    ),
    operation(
        "GET",
        _ONE,
        lambda books, _, names: public(books.get(names["test_clock"], "test_helpers.test_clock", "test_clock")),
    ),
    operation("POST", f"{_ONE}/advance", advance_clock, {"frozen_time": integer(0)}, ("frozen_time",)),
    operation("DELETE", _ONE, delete_clock),
]
