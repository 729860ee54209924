"""What OpenAPI says of questions and batches, as plain fragments of the description.

Questions are read by `questions`, which names every fault where the framework would stop at the first; so they are
described here rather than by the handlers' signatures.
"""

from typing import Any

from billing.kernel.ids import REF_PATTERN
from entitlements.questions import MOST_CHECKS

Fragment = dict[str, Any]


def _ref(what: str) -> Fragment:
    return {"type": "string", "pattern": REF_PATTERN, "minLength": 1, "maxLength": 64, "description": what}


def _object(required: dict[str, Fragment], optional: dict[str, Fragment] | None = None) -> Fragment:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def _query(name: str, schema: Fragment, *, required: bool = False) -> Fragment:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "description": schema["description"],
    }


_CHANNEL: Fragment = {
    "type": "string",
    "enum": ["mobile", "web"],
    "description": "Where the feature would be used; in a browser everything is free. Never guessed.",
}
_AT: Fragment = {
    "type": "string",
    "format": "date-time",
    "description": "Ask for another instant, answered from today's facts; without it: now.",
}
_CONSISTENCY: Fragment = {
    "type": "string",
    "enum": ["default", "strong"],
    "default": "default",
    "description": "`strong` asks the database itself; `default` may lag behind a write by at most one second.",
}
_ANSWER: Fragment = {
    "type": "string",
    "enum": ["full", "compact"],
    "default": "full",
    "description": "`compact`: true, false or null for each check, and one `valid_until` for all.",
}
_SOURCE: Fragment = {
    "type": "string",
    "enum": ["live", "stale"],
    "description": "`stale`: the last yes that was known, while the store cannot be asked; never to be kept.",
}
_CHECK = _object(
    {"account": _ref("The caller's reference of the account"), "feature": {"type": "string", "maxLength": 64}},
    {"pupil": _ref("The caller's reference of the pupil; may be left out as in a single question")},
) | {"additionalProperties": False}
_HEAD: dict[str, Fragment] = {
    "object": {"type": "string", "const": "check_results"},
    "as_of": {"type": "string", "format": "date-time"},
}
_FAILED = _object({"error": _object({"code": {"type": "string"}, "detail": {"type": "string"}})})
_FULL = _object(
    _HEAD
    | {
        "results": {
            "type": "array",
            "items": {"oneOf": [{"$ref": "#/components/schemas/DecisionAnswer"}, _FAILED]},
            "description": "In the order of the checks; an error stands in the place of a check without a decision.",
        }
    }
)
_COMPACT = _object(
    _HEAD
    | {
        "valid_until": {"type": ["string", "null"], "format": "date-time", "description": "The earliest of all."},
        "source": _SOURCE,
        "allowed": {
            "type": "array",
            "items": {"type": ["boolean", "null"]},
            "description": "In the order of the checks; null: no decision.",
        },
    }
)


def _json(schema: Fragment) -> Fragment:
    return {"application/json": {"schema": schema}}


ACCOUNT_QUERY: list[Fragment] = [
    _query("channel", _CHANNEL, required=True),
    _query("pupil", _ref("The caller's reference of the pupil; may be left out where it is clear")),
    _query("at", _AT),
    _query("consistency", _CONSISTENCY),
]
"""What `questions.ask` reads."""

BATCH_QUERY: list[Fragment] = [_query("consistency", _CONSISTENCY)]
BATCH_BODY: Fragment = {
    "required": True,
    "content": _json(
        _object(
            {"channel": _CHANNEL, "checks": {"type": "array", "items": _CHECK, "maxItems": MOST_CHECKS}},
            {"answer": _ANSWER, "at": _AT, "consistency": _CONSISTENCY},
        )
        | {"additionalProperties": False}
    ),
}
"""What `questions.ask_many` reads."""

BATCH_ANSWER: Fragment = {"description": "The answers", "content": _json({"oneOf": [_FULL, _COMPACT]})}

OFREP_QUERY: list[Fragment] = [_query("consistency", _CONSISTENCY)]
OFREP_BODY: Fragment = {
    "required": True,
    "content": _json(
        _object(
            {
                "context": _object(
                    {"targetingKey": _ref("The caller's reference of the account"), "channel": _CHANNEL},
                    {
                        "pupil": _ref("The caller's reference of the pupil; may be left out where it is clear")
                        | {"type": ["string", "null"]}
                    },
                )
                | {"description": "The evaluation context. Attributes that are not named here are left alone."}
            }
        )
    ),
}
"""What `ofrep.read` reads."""

_FLAG_FAILED = _object(
    {
        "key": {"type": "string"},
        "errorCode": {"type": "string", "enum": ["INVALID_CONTEXT", "GENERAL"]},
        "errorDetails": {"type": "string"},
        "code": {"type": "string", "description": "The code that a problem of this API would carry."},
    }
)
_FLAGS = _object(
    {
        "flags": {
            "type": "array",
            "items": {"oneOf": [{"$ref": "#/components/schemas/Flag"}, _FLAG_FAILED]},
            "description": "Every feature; an error stands in the place of one that cannot be decided.",
        },
        "metadata": _object(
            {"channel": _CHANNEL, "source": _SOURCE},
            {"valid_until": {"type": "string", "format": "date-time", "description": "The earliest of all."}},
        ),
    }
)
OFREP_ANSWER: Fragment = {"description": "The flags", "content": _json(_FLAGS)}
