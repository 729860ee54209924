"""What is asked and answered about webhook endpoints."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import Meta

from billing.kernel.days import iso
from webhooks.outgoing_queue import endpoint_id
from webhooks.outgoing_rules import EVENTS, TOLD, WHEN, EventName, State, event_id
from webhooks.outgoing_tables import DeliveryRow, EndpointRow

Instant = Annotated[datetime, Meta(tz=True)]


class EndpointIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to send, and what of."""

    url: Annotated[str, Meta(min_length=1, max_length=2048, examples=["https://app.example.pl/hooks/billing"])]
    events: Annotated[list[EventName], Meta(min_length=1, max_length=50)]


class ReplayIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which time: `since` inclusive, `until` exclusive, now unless said otherwise."""

    since: Instant
    until: Instant | None = None


class EndpointOut(msgspec.Struct, frozen=True, tag_field="object", tag="webhook_endpoint"):
    """A receiver. `secret` is told when it is made or rotated, and never again."""

    id: str
    url: str
    events: list[EventName]
    state: Literal["enabled", "disabled"]
    disabled_reason: Literal["gone", "failing"] | None
    failing_since: str | None
    secret: str | None
    old_secret_until: str | None
    created_at: str


class Endpoints(msgspec.Struct, frozen=True, tag_field="object", tag="list"):
    """A page of endpoints, oldest first."""

    data: list[EndpointOut]
    has_more: bool
    next: str | None


class DeliveryOut(msgspec.Struct, frozen=True, tag_field="object", tag="webhook_delivery"):
    """One event for one endpoint; `id` is the event's, sent as `webhook-id`. `failed`: given up, kept for replay."""

    id: str
    endpoint: str
    type: EventName
    state: State
    tries: int
    last_try_at: str | None
    last_status: int | None
    last_fault: str | None
    next_try_at: str | None
    delivered_at: str | None
    created_at: str


class Deliveries(msgspec.Struct, frozen=True, tag_field="object", tag="list"):
    """A page of deliveries, newest first."""

    data: list[DeliveryOut]
    has_more: bool
    next: str | None


class ReplayOut(msgspec.Struct, frozen=True, tag_field="object", tag="webhook_replay"):
    """How many deliveries are on their way again."""

    endpoint: str
    replayed: int


def told(row: EndpointRow, secret: str | None = None) -> EndpointOut:
    """An endpoint as its owner sees it."""
    return EndpointOut(
        id=endpoint_id(row),
        url=row.url,
        events=cast("list[EventName]", list(row.events)),
        state=cast("Any", row.state),
        disabled_reason=cast("Any", row.disabled_reason),
        failing_since=_iso(row.failing_since),
        secret=secret,
        old_secret_until=_iso(row.old_until),
        created_at=iso(row.created_at),
    )


def delivery_told(row: DeliveryRow) -> DeliveryOut:
    """A delivery as the endpoint's owner sees it."""
    return DeliveryOut(
        id=event_id(row.message_id),
        endpoint=endpoint_id(EndpointRow(id=row.endpoint_id)),
        type=cast("EventName", row.type),
        state=cast("State", row.state),
        tries=row.tries,
        last_try_at=_iso(row.last_try_at),
        last_status=row.status,
        last_fault=row.fault,
        next_try_at=iso(row.due_at) if row.state == "pending" else None,
        delivered_at=_iso(row.delivered_at),
        created_at=iso(row.created_at),
    )


def _iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


_TEXT: Final[dict[str, Any]] = {"type": ["string", "null"]}
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "seq": {"type": "integer"},
    "pupils": {"type": "array", "items": {"type": "string"}},
    "changed_at": {"type": "string", "format": "date-time"},
    "effective_at": {"type": "string", "format": "date-time"},
    "reverts_on": {"type": "string", "format": "date"},
}
_HEADERS: Final = {
    "webhook-id": "Names the event: the same on every try. One that was seen before changes nothing.",
    "webhook-timestamp": "When this try was made, in seconds since 1970.",
    "webhook-signature": "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; for a day after a rotation two,"
    " with a blank between them.",
}


def described() -> dict[str, Any]:
    """What is posted to endpoints, for the description of the API."""
    return {kind: {"post": _operation(kind)} for kind in EVENTS}


def _operation(kind: EventName) -> dict[str, Any]:
    return {
        "operationId": "told" + "".join(part.title() for part in kind.split(".")),
        "summary": WHEN[kind],
        "description": "By Standard Webhooks, at least once, in no promised order. Ask the API for the present state.",
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": words, "schema": {"type": "string"}}
            for name, words in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(kind)}}},
        "responses": {
            "2XX": {"description": "Taken. Anything else is tried again, ten times over three days."},
            "410": {"description": "Tell me nothing more: the endpoint is disabled."},
        },
    }


def _body(kind: EventName) -> dict[str, Any]:
    data = {name: _KINDS.get(name, _TEXT) for name in TOLD[kind]}
    properties = {
        "id": {"type": "string"},
        "type": {"const": kind},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": {"type": "object", "properties": data, "required": list(data)},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
