"""A Checkout Session and its lines as whole objects."""

from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.params import merge_metadata, or_null


def build_item(price: Json, quantity: int, words: str) -> Json:
    """One line: amounts are price × quantity in minor units, no tax or discount of its own."""
    total = int(price["unit_amount"]) * quantity
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": words,
        "metadata": {},
        "price": public(price),
        "quantity": quantity,
    }


def details(email: str | None) -> Json:
    """``customer_details``; only the e-mail is ever known."""
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


_CUSTOM_TEXT = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
_NOTHING = (
    "after_expiration",
    "client_secret",
    "collected_information",
    "consent",
    "currency_conversion",
    "customer_account",
    "integration_identifier",
    "invoice",
    "managed_payments",
    "origin_context",
    "payment_intent",
    "payment_link",
    "payment_method_configuration_details",
    "permissions",
    "recovered_from",
    "setup_intent",
    "shipping_address_collection",
    "shipping_cost",
    "subscription",
)


def _settings(given: Json) -> Json:
    """What was asked of the page, with Stripe's defaults."""
    texts: Json = given.get("custom_text") or {}
    consent: Json | None = given.get("consent_collection")
    if consent:
        consent = {"payment_method_reuse_agreement": None, "promotions": None, "terms_of_service": None} | consent
    return {
        "adaptive_pricing": {"enabled": bool((given.get("adaptive_pricing") or {}).get("enabled", False))},
        "allow_promotion_codes": given.get("allow_promotion_codes"),
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": given.get("billing_address_collection"),
        "consent_collection": consent or None,
        "custom_fields": [],
        "custom_text": {name: texts.get(name) or None for name in _CUSTOM_TEXT},
        "discounts": [],
        "locale": given.get("locale"),
        "phone_number_collection": {"enabled": bool((given.get("phone_number_collection") or {}).get("enabled"))},
        "saved_payment_method_options": None,
        "shipping_options": [],
        "submit_type": given.get("submit_type"),
        "tax_id_collection": {
            "enabled": bool((given.get("tax_id_collection") or {}).get("enabled")),
            "required": "never",
        },
        "ui_mode": "hosted_page",
        "wallet_options": None,
    }


def _invoice_creation(given: Json) -> Json | None:
    if given["mode"] != "payment":
        return None
    asked: Json = given.get("invoice_creation") or {}
    data: Json = asked.get("invoice_data") or {}
    return {
        "enabled": bool(asked.get("enabled", False)),
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": or_null(data.get("description")),
            "footer": or_null(data.get("footer")),
            "issuer": None,
            "metadata": merge_metadata({}, data.get("metadata")),
            "rendering_options": None,
        },
    }


def build_session(books: Books, given: Json, items: list[Json], kinds: list[str], customer: Json | None) -> Json:
    """A whole open session for these lines."""
    key = new_id("cs_test", 58)
    total = sum(int(item["amount_total"]) for item in items)
    email = customer["email"] if customer else given.get("customer_email")
    session: Json = {
        "id": key,
        "object": "checkout.session",
        **dict.fromkeys(_NOTHING),
        **_settings(given),
        "allowed_payment_method_types": given.get("allowed_payment_method_types"),
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": or_null(given.get("cancel_url")),
        "client_reference_id": or_null(given.get("client_reference_id")),
        "created": books.stamp,
        "currency": items[0]["currency"],
        "customer": customer["id"] if customer else None,
        "customer_creation": None if customer else given.get("customer_creation", _default_creation(given)),
        "customer_details": details(email) if email else None,
        "customer_email": or_null(given.get("customer_email")),
        "excluded_payment_method_types": given.get("excluded_payment_method_types", []),
        "expires_at": given["expires_at"],
        "invoice_creation": _invoice_creation(given),
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "mode": given["mode"],
        "payment_method_collection": "always" if given["mode"] == "subscription" else "if_required",
        "payment_method_options": {},
        "payment_method_types": kinds,
        "payment_status": "unpaid",
        "status": "open",
        "success_url": given["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "url": f"{books.public_base}/pay/{key}",
    }
    session["_intent_data"] = given.get("payment_intent_data") or {}
    session["_subscription_data"] = given.get("subscription_data") or {}
    session["_blik"] = (given.get("payment_method_options") or {}).get("blik") or {}
    session["_charge"] = None
    return session


def _default_creation(given: Json) -> str:
    return "always" if given["mode"] == "subscription" else "if_required"
