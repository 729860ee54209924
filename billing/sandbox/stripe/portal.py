"""Billing portal sessions."""

from collections.abc import Mapping

from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.operations import operation
from billing.sandbox.stripe.params import choice, or_null, text

_CONFIGURATION = "bpc_1SandboxDefault"


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


OPERATIONS = [
    operation(
        "POST",
        "/v1/billing_portal/sessions",
        create_session,
        {"customer": text(), "return_url": text(), "locale": choice("auto", "pl", "en", "en-GB")},
        ("customer",),
    ),
]
