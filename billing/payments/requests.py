"""What is sent to Stripe, as pure functions of what was reserved: the same intent gives the same body (I14)."""

from typing import Any, Final

from billing.payments.facts import OpenCheckout
from billing.payments.gateway_renewals import ChangeRenewal, ItemPrice, SetRenewal

_LONGEST_SUFFIX: Final = 10
"""What always fits beside the account's own prefix on a statement of 22; a longer text is set up at Stripe instead."""
_LOCALES: Final = frozenset({"pl", "en"})


def checkout(wanted: OpenCheckout) -> Any:
    """The one body of this intent: a pure function of what was reserved (I14)."""
    price: dict[str, Any] = {
        "currency": wanted.currency.lower(),
        "unit_amount": wanted.unit_amount,
        "tax_behavior": "inclusive",
        "product_data": {"name": wanted.product_name},
    }
    body: dict[str, Any] = {
        "client_reference_id": wanted.reference,
        "metadata": {"order": wanted.order},
        "line_items": [{"quantity": wanted.quantity, "price_data": price}],
        "allowed_payment_method_types": list(wanted.methods),
        "success_url": wanted.success_url,
        "cancel_url": wanted.cancel_url,
        "locale": locale_of(wanted.locale),
        "expires_at": int(wanted.expires_at.timestamp()),
        "adaptive_pricing": {"enabled": False},
    }
    return body | (_once(wanted) if wanted.interval is None else _renewing(wanted, price))


def _once(wanted: OpenCheckout) -> dict[str, Any]:
    """No method is kept for later (R4)."""
    intent: dict[str, Any] = {"metadata": {"order": wanted.order}}
    if wanted.statement_text and len(wanted.statement_text) <= _LONGEST_SUFFIX:
        intent["statement_descriptor_suffix"] = wanted.statement_text
    return {"mode": "payment", "payment_intent_data": intent, "submit_type": "pay"}


def _renewing(wanted: OpenCheckout, price: dict[str, Any]) -> dict[str, Any]:
    """Charged again every interval; what BLIK lets us charge stands in a mandate without an end (R68)."""
    price["recurring"] = {"interval": wanted.interval}
    body: dict[str, Any] = {"mode": "subscription", "subscription_data": {"metadata": {"order": wanted.order}}}
    if "blik" in wanted.methods:
        body["payment_method_options"] = {"blik": {"setup_future_usage": "off_session"}}
    return body


def _item(price: ItemPrice) -> dict[str, Any]:
    """The one item of a subscription, as it shall be."""
    return {
        "id": price.item_id,
        "quantity": price.quantity,
        "price_data": {
            "currency": price.currency.lower(),
            "unit_amount": price.unit_amount,
            "tax_behavior": "inclusive",
            "product": price.provider_product,
            "recurring": {"interval": price.interval},
        },
    }


def set_renewal(wanted: SetRenewal) -> Any:
    """What changes nothing that is paid: only the next charge, if there is one."""
    body: dict[str, Any] = {}
    if wanted.ends is not None:
        body["cancel_at_period_end"] = wanted.ends
    if wanted.is_paused is not None:
        body["pause_collection"] = {"behavior": "void"} if wanted.is_paused else ""
    if wanted.price is not None:
        body |= {"items": [_item(wanted.price)], "proration_behavior": "none"}
    return body


def change_renewal(wanted: ChangeRenewal) -> Any:
    """Charged at once, as of the instant that was previewed; where the charge fails, nothing is changed."""
    return {
        "items": [_item(wanted.price)],
        "proration_behavior": "always_invoice",
        "proration_date": int(wanted.prorated_at.timestamp()),
        "payment_behavior": "error_if_incomplete",
    }


def preview_change(wanted: ChangeRenewal) -> Any:
    """The same change, counted and not made."""
    details = change_renewal(wanted)
    del details["payment_behavior"]
    return {"subscription": wanted.subscription_id, "subscription_details": details}


def locale_of(locale: str) -> str:
    """The language of the provider's page; where it does not speak ours, the browser's."""
    return locale if locale in _LOCALES else "auto"
