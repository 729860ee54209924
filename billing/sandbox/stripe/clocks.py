"""Test clocks: a customer's own time, which moves only when it is told to, at most two intervals a step."""

from collections.abc import Mapping

from billing.sandbox.stripe import subscriptions
from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json, invalid, refused
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import integer, or_null, text
from billing.sandbox.stripe.periods import DAY, after, items_of, rhythm

_STAY = 30 * DAY
_KIND = "test_helpers.test_clock"
_FARTHEST = ("year", 2)
"""How far a clock without subscriptions may be moved at once."""


def _found(books: Books, names: Mapping[str, str]) -> Json:
    return books.get(names["test_clock"], _KIND, "test_clock")


def create(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/test_helpers/test_clocks."""
    clock: Json = {
        "id": new_id("clock"),
        "object": _KIND,
        "created": books.stamp,
        "deletes_after": books.stamp + _STAY,
        "frozen_time": given["frozen_time"],
        "livemode": False,
        "name": or_null(given.get("name")),
        "status": "ready",
        "status_details": {},
    }
    books.save(clock)
    books.emit("test_helpers.test_clock.created", clock)
    return public(clock)


def _limit(books: Books, clock: Json) -> int:
    """Two intervals of the shortest subscription from where the clock stands."""
    now = int(clock["frozen_time"])
    where = "AND clock = ? AND json_extract(body, '$.status') NOT IN ('canceled', 'incomplete_expired')"
    found = books.store.all_of("subscription", where, clock["id"])
    rhythms = [rhythm(items_of(subscription)[0]) for subscription in found]
    steps = [after(now, interval, 2 * count) for interval, count in rhythms]
    return min(steps, default=after(now, *_FARTHEST))


def advance(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/test_helpers/test_clocks/{test_clock}/advance: forward only; ``ready`` again when all has happened."""
    clock = _found(books, names)
    target = int(given["frozen_time"])
    if clock["status"] != "ready":
        raise refused("The test clock is advancing.", code="test_clock_advancing")
    if target <= int(clock["frozen_time"]):
        raise invalid("The new frozen time must be after the present one.", param="frozen_time")
    if target > _limit(books, clock):
        message = (
            "Test clocks can only be advanced by at most two intervals of the shortest subscription interval at once."
        )
        raise invalid(message, param="frozen_time")
    clock.update(status="advancing", status_details={"advancing": {"target_frozen_time": target}})
    books.save(clock, due=books.instant)
    books.emit("test_helpers.test_clock.advancing", clock)
    return public(clock)


def arrive(books: Books, clock: Json, target: int) -> None:
    """The clock has come to where it was sent."""
    clock.update(frozen_time=target, status="ready", status_details={})
    books.save(clock)
    books.emit("test_helpers.test_clock.ready", clock)


def delete(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """DELETE /v1/test_helpers/test_clocks/{test_clock}: with its customers; their subscriptions end."""
    clock = _found(books, names)
    inside = books.under(clock["id"])
    subscriptions.end_all(inside, "AND clock = ?", clock["id"])
    for customer in books.store.all_of("customer", "AND clock = ?", clock["id"]):
        inside.save({"id": customer["id"], "object": "customer", "deleted": True})
    books.store.run("UPDATE objects SET due = NULL WHERE clock = ?", clock["id"])
    books.store.remove(clock["id"])
    books.emit("test_helpers.test_clock.deleted", clock)
    return {"id": clock["id"], "object": _KIND, "deleted": True}


_ALL = "/v1/test_helpers/test_clocks"
_ONE = f"{_ALL}/{{test_clock}}"
OPERATIONS = [
    operation("POST", _ALL, create, {"frozen_time": integer(0), "name": text(300)}, ("frozen_time",)),
    operation("GET", _ALL, lambda books, given, _: page(books, of_kind(_KIND), _ALL, given), LIST),
    operation("GET", _ONE, lambda books, _, names: public(_found(books, names))),
    operation("POST", f"{_ONE}/advance", advance, {"frozen_time": integer(0)}, ("frozen_time",)),
    operation("DELETE", _ONE, delete),
]
