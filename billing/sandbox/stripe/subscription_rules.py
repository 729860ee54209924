"""What the operations on subscriptions take."""

from typing import Any

from billing.sandbox.stripe.catalogue import PRICE_DATA
from billing.sandbox.stripe.changes import BEHAVIOURS
from billing.sandbox.stripe.operations import LIST
from billing.sandbox.stripe.params import (
    EXPAND,
    UNSET,
    boolean,
    choice,
    integer,
    listed,
    metadata,
    nested,
    span,
    text,
)

_PERIOD_ENDS = ("min_period_end", "max_period_end")


def _ending(value: Any, path: str) -> Any:
    return value if value in (UNSET, *_PERIOD_ENDS) else integer(0)(value, path)


BILLING_MODE = nested(
    {
        "type": choice("classic", "flexible"),
        "flexible": nested({"proration_discounts": choice("included", "itemized")}),
    },
    ("type",),
)
MANDATE_OPTIONS = nested({"expires_at": integer(0)})
_PAYMENT_SETTINGS = nested(
    {
        "payment_method_options": nested({"blik": nested({"mandate_options": MANDATE_OPTIONS})}),
        "payment_method_types": listed(choice("card", "blik"), 10),
        "save_default_payment_method": choice("off", "on_subscription"),
    }
)
_ITEM = {"price": text(), "price_data": PRICE_DATA, "quantity": integer(1, 999999), "metadata": metadata}
CHANGED_ITEMS = listed(nested({**_ITEM, "id": text(), "deleted": boolean}), 20)
_BEHAVIOUR = choice(*BEHAVIOURS)
_PAYMENT = choice("allow_incomplete", "error_if_incomplete")
_FEEDBACK = choice(
    "",
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
)
_DETAILS = nested({"comment": text(), "feedback": _FEEDBACK})
_BOTH = {
    "cancel_at_period_end": boolean,
    "cancel_at": _ending,
    "default_payment_method": text(),
    "description": text(500),
    "metadata": metadata,
    "off_session": boolean,
    "payment_behavior": _PAYMENT,
    "payment_settings": _PAYMENT_SETTINGS,
    "proration_behavior": _BEHAVIOUR,
}
CREATE = {
    **_BOTH,
    "billing_mode": BILLING_MODE,
    "collection_method": choice("charge_automatically"),
    "currency": text(3),
    "customer": text(),
    "items": listed(nested(_ITEM), 20),
}
UPDATE = {
    **_BOTH,
    "billing_cycle_anchor": choice("now", "unchanged"),
    "cancellation_details": _DETAILS,
    "items": CHANGED_ITEMS,
    "pause_collection": nested(
        {"behavior": choice("keep_as_draft", "mark_uncollectible", "void"), "resumes_at": integer(0)}, ("behavior",)
    ),
    "proration_date": integer(0),
}
END = {"expand": EXPAND, "cancellation_details": _DETAILS, "invoice_now": boolean, "prorate": boolean}
ITEM = {
    **_ITEM,
    "off_session": boolean,
    "payment_behavior": _PAYMENT,
    "proration_behavior": _BEHAVIOUR,
    "proration_date": integer(0),
}
PREVIEW = {
    "customer": text(),
    "subscription": text(),
    "currency": text(3),
    "preview_mode": choice("next", "recurring"),
    "subscription_details": nested(
        {
            "billing_cycle_anchor": choice("now", "unchanged"),
            "billing_mode": BILLING_MODE,
            "cancel_at": _ending,
            "cancel_at_period_end": boolean,
            "cancel_now": boolean,
            "items": CHANGED_ITEMS,
            "proration_behavior": _BEHAVIOUR,
            "proration_date": integer(0),
        }
    ),
}
FILTER = {
    **LIST,
    "created": span,
    "current_period_end": span,
    "current_period_start": span,
    "customer": text(),
    "price": text(),
    "status": choice(
        "active",
        "all",
        "canceled",
        "ended",
        "incomplete",
        "incomplete_expired",
        "past_due",
        "paused",
        "trialing",
        "unpaid",
    ),
    "test_clock": text(),
}
PAUSE = {
    "bill_for": nested(
        {
            "outstanding_usage_through": nested({"type": choice("none", "now")}, ("type",)),
            "unused_time_from": nested({"type": choice("item_current_period_start", "none", "now")}, ("type",)),
        }
    ),
    "invoicing_behavior": choice("invoice", "pending_invoice_item"),
    "type": choice("subscription"),
}
RESUME = {
    "billing_cycle_anchor": nested({"type": choice("now", "unchanged")}, ("type",)),
    "payment_behavior": choice("resume_on_payment_attempt", "resume_on_payment_success"),
    "proration_behavior": _BEHAVIOUR,
    "proration_date": integer(0),
}
