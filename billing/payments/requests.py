"""What is sent to Stripe, as pure functions of what was reserved: the same intent gives the same body (I14)."""

from typing import Any, Final

from billing.payments.gateway import OpenCheckout

_LONGEST_SUFFIX: Final = 10
"""What always fits beside the account's own prefix on a statement of 22; a longer text is set up at Stripe instead."""
_LOCALES: Final = frozenset({"pl", "en"})


def checkout(wanted: OpenCheckout) -> Any:
    """The one body of this intent: a pure function of what was reserved (I14)."""
    intent: dict[str, Any] = {"metadata": {"order": wanted.order}}
    if wanted.statement_text and len(wanted.statement_text) <= _LONGEST_SUFFIX:
        intent["statement_descriptor_suffix"] = wanted.statement_text
    return {
        "mode": "payment",
        "client_reference_id": wanted.reference,
        "metadata": {"order": wanted.order},
        "line_items": [
            {
                "quantity": wanted.quantity,
                "price_data": {
                    "currency": wanted.currency.lower(),
                    "unit_amount": wanted.unit_amount,
                    "tax_behavior": "inclusive",
                    "product_data": {"name": wanted.product_name},
                },
            }
        ],
        "allowed_payment_method_types": list(wanted.methods),
        "payment_intent_data": intent,
        "success_url": wanted.success_url,
        "cancel_url": wanted.cancel_url,
        "locale": wanted.locale if wanted.locale in _LOCALES else "auto",
        "expires_at": int(wanted.expires_at.timestamp()),
        "adaptive_pricing": {"enabled": False},
        "submit_type": "pay",
    }
