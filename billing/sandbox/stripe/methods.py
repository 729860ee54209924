"""How people pay: payment methods and what a charge tells of them."""

from typing import Any

from billing.sandbox.stripe.books import Books, new_id
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.params import or_null

DELAYED = ("blik", "p24")
"""Methods whose answer may come after the parent has left the page."""

BANKS = {
    "pbac_z_ipko": "PKO Bank Polski",
    "ing": "ING Bank Śląski",
    "mbank_mtransfer": "mBank",
    "bank_pekao_sa": "Bank Pekao",
    "santander_przelew24": "Santander",
    "alior_bank": "Alior Bank",
    "bank_millennium": "Bank Millennium",
    "credit_agricole": "Credit Agricole",
    "citi_handlowy": "Citi Handlowy",
}
"""Banks of P24 by Stripe's word for them."""


def address(given: Json | None = None) -> Json:
    """A whole address."""
    names = ("city", "country", "line1", "line2", "postal_code", "state")
    return {name: or_null((given or {}).get(name)) for name in names}


def billing_details(email: str | None) -> Json:
    """Whole billing details; only the e-mail is ever known."""
    return {"address": address(), "email": email, "name": None, "phone": None, "tax_id": None}


def build_method(books: Books, kind: str, email: str | None, customer: str | None, bank: str | None) -> Json:
    """A whole payment method of kind card, blik or p24."""
    facts: dict[str, Json] = {
        "card": {
            "brand": "visa",
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "PL",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": books.at.year + 3,
            "fingerprint": "SandboxCardPrint",
            "funding": "debit",
            "generated_from": None,
            "last4": "4242",
            "networks": {"available": ["visa"], "preferred": None},
            "regulated_status": "regulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "blik": {"buyer_id": None},
        "p24": {"bank": bank or "ing"},
    }
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(email),
        kind: facts[kind],
        "created": books.stamp,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
    }


def charge_details(method: Json, amount: int) -> Json:
    """``payment_method_details`` of a charge made with this method."""
    kind = str(method["type"])
    facts: dict[str, Any] = {
        "blik": {"buyer_id": None},
        "p24": {"bank": method.get("p24", {}).get("bank"), "reference": "P24-" + str(method["id"])[-9:].upper()}
        | {"verified_name": None},
    }
    return {kind: facts[kind] if kind != "card" else _card_details(method["card"], amount), "type": kind}


def _card_details(card: Json, amount: int) -> Json:
    same = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
    )
    return {
        **{name: card[name] for name in same},
        "amount_authorized": amount,
        "authorization_code": None,
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }


_ATTEMPT = "payment_intent_payment_attempt_failed"
_BANK_SAID_NO = "The payment was declined by the customer's bank."
DECLINES = {
    ("card", "declined"): ("card_declined", "generic_decline", "Your card was declined."),
    ("card", "expired_card"): ("expired_card", "expired_card", "Your card has expired."),
    ("blik", "declined"): (
        "payment_intent_authentication_failure",
        None,
        "The customer declined the payment in their banking app.",
    ),
    ("blik", "off_session"): (_ATTEMPT, "insufficient_funds", _BANK_SAID_NO),
    ("blik", "too_large"): (_ATTEMPT, "payment_limit_exceeded", "The payment exceeds the limit of the BLIK mandate."),
    ("blik", "mandate_inactive"): (
        "payment_intent_mandate_invalid",
        None,
        "The provided mandate is inactive and can not be used for the payment intent.",
    ),
    ("p24", "declined"): (_ATTEMPT, None, _BANK_SAID_NO),
}
"""Error code, decline code and words of a refused payment, by method and reason."""


def decline_error(method: Json, charge: str | None, why: str = "declined") -> Json:
    """``last_payment_error`` of a refused attempt."""
    code, decline, message = DECLINES[(str(method["type"]), why)]
    error: Json = {"code": code, "doc_url": f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"}
    kind = "invalid_request_error" if code == "payment_intent_mandate_invalid" else "card_error"
    error |= {"message": message, "payment_method": method, "type": kind}
    if decline:
        error["decline_code"] = decline
    if charge:
        error["charge"] = charge
    return error
