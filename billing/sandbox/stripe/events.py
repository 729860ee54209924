"""Events and the endpoints they are sent to, as the API shows them."""

import json
from collections.abc import Mapping
from typing import cast

from billing.sandbox.stripe.books import API_VERSION, Books, new_id, public
from billing.sandbox.stripe.errors import Json, invalid, missing
from billing.sandbox.stripe.listing import Filter, of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import (
    boolean,
    choice,
    listed,
    merge_metadata,
    metadata,
    or_null,
    span,
    text,
)

KEPT_DAYS = 30
"""Events are listed for this many days (reliability 1.1)."""


def _fresh(books: Books, event: Json) -> Json:
    """An event as it stands now: how many endpoints still wait for it."""
    query = "SELECT count(*) FROM deliveries WHERE event = ? AND state = 'pending'"
    return {**public(event), "pending_webhooks": int(books.store.one(query, event["id"])[0])}


def list_events(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/events: the last 30 days, newest first."""
    if given.get("type") and given.get("types"):
        raise invalid("You may only specify one of these parameters: type, types.", param="type")
    found = Filter().add("created >= ?", books.stamp - KEPT_DAYS * 86400).spans(given, "created")
    kinds = cast("list[str]", given.get("types") or ([given["type"]] if given.get("type") else []))
    if kinds:
        found.add(f"({' OR '.join(['type GLOB ?'] * len(kinds))})", *kinds)
    if "delivery_success" in given:
        undelivered = "EXISTS (SELECT 1 FROM deliveries d WHERE d.event = events.id AND d.state <> 'succeeded')"
        found.add(f"NOT {undelivered}" if given["delivery_success"] else undelivered)
    answer = page(books, found, "/v1/events", given, table="events")
    answer["data"] = [_fresh(books, event) for event in answer["data"]]
    return answer


def retrieve(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """GET /v1/events/{id}: gone after 30 days."""
    row = books.store.one("SELECT body FROM events WHERE id = ?", names["id"])
    event = cast("Json", json.loads(row[0])) if row else None
    if event is None or event["created"] < books.stamp - KEPT_DAYS * 86400:
        raise missing("event", names["id"])
    return _fresh(books, event)


def build_endpoint(books: Books, given: Json, secret: str) -> Json:
    """A whole webhook endpoint; its secret is shown once, by the caller."""
    return {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": given.get("api_version"),
        "application": None,
        "created": books.stamp,
        "description": or_null(given.get("description")),
        "enabled_events": given["enabled_events"],
        "livemode": False,
        "metadata": merge_metadata({}, given.get("metadata")),
        "status": "enabled",
        "url": given["url"],
        "_secret": secret,
    }


def create_endpoint(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/webhook_endpoints: the only answer with the secret."""
    if not str(given["url"]).startswith(("http://", "https://")):
        raise invalid("Not a valid URL", code="url_invalid", param="url")
    endpoint = books.save(build_endpoint(books, given, new_id("whsec", 32)))
    return {**public(endpoint), "secret": endpoint["_secret"]}


def update_endpoint(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/webhook_endpoints/{webhook_endpoint}."""
    endpoint = books.get(names["webhook_endpoint"], "webhook_endpoint", "webhook_endpoint")
    for name in ("url", "enabled_events", "description"):
        if name in given:
            endpoint[name] = or_null(given[name])
    if "disabled" in given:
        endpoint["status"] = "disabled" if given["disabled"] else "enabled"
    endpoint["metadata"] = merge_metadata(endpoint["metadata"], given.get("metadata"))
    return public(books.save(endpoint))


def delete_endpoint(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """DELETE /v1/webhook_endpoints/{webhook_endpoint}: nothing more is sent there."""
    endpoint = books.get(names["webhook_endpoint"], "webhook_endpoint", "webhook_endpoint")
    books.store.remove(endpoint["id"])
    books.store.run("DELETE FROM deliveries WHERE endpoint = ? AND state = 'pending'", endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


_ENDPOINT = {"url": text(), "enabled_events": listed(text()), "description": text(), "metadata": metadata}
_ONE = "/v1/webhook_endpoints/{webhook_endpoint}"
OPERATIONS = [
    operation(
        "GET",
        "/v1/events",
        list_events,
        {**LIST, "created": span, "delivery_success": boolean, "type": text(), "types": listed(text(), 20)},
    ),
    operation("GET", "/v1/events/{id}", retrieve),
    operation(
        "POST",
        "/v1/webhook_endpoints",
        create_endpoint,
        {**_ENDPOINT, "api_version": choice(API_VERSION)},
        ("url", "enabled_events"),
    ),
    operation(
        "GET",
        "/v1/webhook_endpoints",
        lambda books, given, _: page(books, of_kind("webhook_endpoint"), "/v1/webhook_endpoints", given),
        LIST,
    ),
    operation(
        "GET",
        _ONE,
        lambda books, _, names: public(books.get(names["webhook_endpoint"], "webhook_endpoint", "webhook_endpoint")),
    ),
    operation("POST", _ONE, update_endpoint, {**_ENDPOINT, "disabled": boolean}),
    operation("DELETE", _ONE, delete_endpoint),
]
