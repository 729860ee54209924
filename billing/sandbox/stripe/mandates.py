"""BLIK mandates: what a person allowed their bank to pay again and again, until they take it back there."""

from collections.abc import Mapping

from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.operations import operation

MOST = 200_000
"""A payment under a BLIK mandate is at most 2,000 zł, in grosz (domain 4.1)."""


def give(books: Books, method: Json, expires_at: int | None) -> Json:
    """The mandate given with the first payment; the bank ends it by itself when it expires."""
    mandate: Json = {
        "id": new_id("mandate"),
        "object": "mandate",
        "customer_acceptance": {"accepted_at": books.stamp, "online": _BROWSER, "type": "online"},
        "livemode": False,
        "multi_use": {},
        "payment_method": method["id"],
        "payment_method_details": {"blik": {"expires_at": expires_at, "type": "off_session"}, "type": "blik"},
        "status": "active",
        "type": "multi_use",
    }
    return books.save(mandate, parent=method["id"], due=expires_at)


_BROWSER = {"ip_address": "192.0.2.1", "user_agent": "Mozilla/5.0 (sandbox)"}


def of_method(books: Books, method: Json) -> Json | None:
    """The mandate under which the method may be charged; None for a method that needs none."""
    found = books.store.children(method["id"], "mandate")
    return public(found[-1]) if found else None


def deactivate(books: Books, mandate: Json) -> Json:
    """Taken back in the bank, or expired: later payments under it fail."""
    before = mandate["status"]
    mandate["status"] = "inactive"
    books.save(mandate)
    if before != "inactive":
        books.emit("mandate.updated", mandate, {"status": before})
    return mandate


def retrieve(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """GET /v1/mandates/{mandate}."""
    return public(books.get(names["mandate"], "mandate", "mandate"))


OPERATIONS = [operation("GET", "/v1/mandates/{mandate}", retrieve)]
