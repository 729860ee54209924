"""The books during one call: one instant, one transaction, objects read and written, events written down."""

import json
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from billing.sandbox.stripe.errors import Json, missing
from billing.sandbox.stripe.store import Store

API_VERSION = "2026-10-28.endive"
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Asking:
    """Who caused a change: the request's id and key, as they stand in its events."""

    request_id: str | None = None
    key: str | None = None


def new_id(prefix: str, length: int = 24) -> str:
    """A fresh id in Stripe's style."""
    return f"{prefix}_{''.join(secrets.choice(_LETTERS) for _ in range(length))}"


def public(body: Json) -> Json:
    """The object as others see it: our own notes (names with a leading underscore) stay inside."""
    return {name: value for name, value in body.items() if not name.startswith("_")}


class Books:
    """What handlers work on. ``at`` is the instant of the whole call (aware UTC), ``stamp`` the same in seconds.

    ``wall`` is the shared clock's instant, at which events are sent: later than ``at`` when something is done that was
    due before anybody looked, and anywhere when ``at`` is the instant of a test clock.
    """

    def __init__(
        self,
        store: Store,
        at: datetime,
        public_base: str,
        asking: Asking,
        *,
        wall: float | None = None,
        clock: str | None = None,
    ) -> None:
        self.store = store
        self.at = at
        self.instant = at.timestamp()
        self.stamp = int(self.instant)
        self.wall = self.instant if wall is None else wall
        self.clock = clock
        self.public_base = public_base
        self.asking = asking

    def moved(self, instant: float, clock: str | None = None) -> "Books":
        """The same books at another instant, of the shared clock or of a test clock."""
        at = datetime.fromtimestamp(instant, UTC)
        return Books(self.store, at, self.public_base, self.asking, wall=self.wall, clock=clock)

    def under(self, clock: str | None) -> "Books":
        """The books at the instant of this test clock; the same books when there is none."""
        if clock is None or clock == self.clock:
            return self
        return self.moved(float(self.get(clock, "test_helpers.test_clock")["frozen_time"]), clock)

    # Objects

    def save(self, body: Json, *, parent: str | None = None, due: float | None = None) -> Json:
        """Write the object; ``due`` is the instant at which time itself will change it."""
        self.store.put(body, body["object"], parent, due, self.clock)
        return body

    def find(self, key: str | None, kind: str) -> Json | None:
        """The object if it is there and of that kind."""
        body = self.store.get(key) if key else None
        return body if body is not None and body["object"] == kind else None

    def get(self, key: str, kind: str, param: str = "id", *, in_path: bool = True) -> Json:
        """The object, or ``resource_missing`` (404 when the path names it, 400 when a parameter does)."""
        body = self.find(key, kind)
        if body is None or body.get("deleted"):
            raise missing(kind, key, param, in_path=in_path)
        return body

    def counter(self, name: str) -> int:
        """The next number of a sequence, from 1."""
        value = int(self.store.setting(f"counter.{name}", 0)) + 1
        self.store.set(f"counter.{name}", value)
        return value

    # Events

    def emit(self, kind: str, body: Json, previous: Json | None = None) -> Json:
        """Write an event down and one delivery for each endpoint that wants it."""
        data: Json = {"object": public(body)}
        if previous is not None:
            data["previous_attributes"] = previous
        event: Json = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.stamp if self.clock is None else int(self.wall),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.asking.request_id, "idempotency_key": self.asking.key},
            "type": kind,
        }
        self._write_event(event)
        return event

    def _write_event(self, event: Json) -> None:
        self.store.run(
            "INSERT INTO events (id, type, created, body) VALUES (?, ?, ?, ?)",
            event["id"],
            event["type"],
            event["created"],
            json.dumps(event),
        )
        mode = self.store.setting("webhooks", "normal")
        for endpoint in reversed(self.store.all_of("webhook_endpoint")):
            wanted = cast("list[str]", endpoint["enabled_events"])
            if endpoint["status"] != "enabled" or not ({"*", event["type"]} & set(wanted)):
                continue
            self.store.run(
                "INSERT INTO deliveries (event, endpoint, mode, state, born, due) VALUES (?, ?, ?, ?, ?, ?)",
                event["id"],
                endpoint["id"],
                mode,
                "dropped" if mode == "drop" else "pending",
                self.wall,
                None if mode == "drop" else self.wall,
            )


def whole(found: list[Json], url: str) -> Json:
    """A list inside an object: all of it."""
    return {"object": "list", "data": [public(row) for row in found], "has_more": False, "url": url}
