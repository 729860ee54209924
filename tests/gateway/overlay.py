"""What ``2026-10-28.endive`` changed against the description, and what is described nowhere but always answered."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_METHODS: Json = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}

_EXPIRING: Json = {
    "type": "object",
    "properties": {"expires_at": {"type": ["integer", "null"]}},
    "additionalProperties": False,
}
_BLIK_MANDATE: Json = {
    "type": "object",
    "properties": {"mandate_options": _EXPIRING},
    "additionalProperties": False,
}
_BLIK_WANTED: Json = {
    "type": "object",
    "properties": {
        "mandate_options": {
            "type": "object",
            "properties": {"expires_at": {"type": "integer"}},
            "additionalProperties": False,
        },
        "setup_future_usage": {"enum": ["", "none", "off_session"]},
    },
    "additionalProperties": False,
}
_PAUSED: Json = {
    "type": "object",
    "properties": {
        "subscription": {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]},
        "transitioned_at": {"type": "integer"},
        "type": {"const": "subscription"},
    },
    "required": ["subscription", "transitioned_at", "type"],
    "additionalProperties": False,
}

ADDED: Mapping[str, Json] = {
    # New in endive.
    "checkout.session": {"allowed_payment_method_types": _METHODS},
    "mandate_payment_method_details": {
        "blik": {
            "type": "object",
            "properties": {"expires_at": {"type": ["integer", "null"]}, "type": {"const": "off_session"}},
            "required": ["expires_at", "type"],
            "additionalProperties": False,
        }
    },
    "subscription": {
        "status_details": {
            "type": "object",
            "properties": {"paused": _PAUSED},
            "required": ["paused"],
            "additionalProperties": False,
        }
    },
    "subscriptions_resource_payment_method_options": {"blik": _BLIK_MANDATE},
    # Answered by Stripe and read by its library, absent from the description.
    "charge": {"source": {"type": "null"}},
    "payment_intent": {"source": {"type": "null"}},
    "product": {"type": {"enum": ["service", "good"]}},
    "recurring": {"trial_period_days": {"type": ["integer", "null"]}},
    "refund_destination_details_card": {"reference_status": {"type": "string"}},
}
"""Members of objects beyond the description, by the name of their schema."""

PARAMETERS: Mapping[tuple[str, str], tuple[Json, tuple[str, ...]]] = {
    ("post", "/v1/checkout/sessions"): (
        {
            "allowed_payment_method_types": {"type": "array", "items": {"type": "string"}},
            "payment_method_options": {
                "type": "object",
                "properties": {"blik": _BLIK_WANTED},
                "additionalProperties": False,
            },
        },
        ("payment_method_types",),
    ),
    ("post", "/v1/subscriptions/{subscription}/resume"): (
        {
            "billing_cycle_anchor": {
                "type": "object",
                "properties": {"type": {"enum": ["now", "unchanged"]}},
                "required": ["type"],
                "additionalProperties": False,
            },
            "payment_behavior": {"enum": ["resume_on_payment_attempt", "resume_on_payment_success"]},
        },
        (),
    ),
}
"""Parameters that endive added, and those that it took away, by operation."""
