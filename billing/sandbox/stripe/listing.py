"""Lists in Stripe's cursor form: ``{"object": "list", "data", "has_more", "url"}``, newest first, read by SQL."""

import json
from typing import Any, cast

from billing.sandbox.stripe.books import Books, public
from billing.sandbox.stripe.errors import Json, invalid, missing

_BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Filter:
    """Clauses over the columns of a table and members of ``body``, all of which must hold."""

    def __init__(self) -> None:
        self.clauses: list[str] = []
        self.values: list[Any] = []

    def add(self, clause: str, *values: Any) -> "Filter":
        """A fixed piece of SQL and what it compares with."""
        self.clauses.append(clause)
        self.values.extend(values)
        return self

    def equal(self, given: Json, *names: str, **paths: str) -> "Filter":
        """Members that must equal the parameters given; ``paths`` says where one stands under another name."""
        for name, path in [*((name, name) for name in names), *paths.items()]:
            if name in given:
                value = given[name]
                self.add(f"json_extract(body, '$.{path}') = ?", int(value) if isinstance(value, bool) else value)
        return self

    def one_of(self, column: str, allowed: list[str] | None) -> "Filter":
        """A column or member that must be among these; None asks nothing."""
        if allowed is None:
            return self
        return self.add(f"{column} IN ({', '.join('?' * len(allowed))})", *allowed)

    def spans(self, given: Json, *names: str, within: str = "") -> "Filter":
        """Instants that must lie within the bounds given; ``within`` is the path to where they stand."""
        for name in names:
            for bound, value in cast("Json", given.get(name, {})).items():
                self.add(f"json_extract(body, '$.{within}{name}') {_BOUNDS[bound]} ?", value)
        return self


def of_kind(kind: str) -> Filter:
    """Objects of this kind that are not deleted."""
    return Filter().add("kind = ?", kind).add("json_extract(body, '$.deleted') IS NULL")


def page(
    books: Books, found: Filter, url: str, given: Json, *, table: str = "objects", oldest_first: bool = False
) -> Json:
    """One page; the object a cursor names need not match the filter any more."""
    limit = int(given.get("limit", 10))
    after, before = given.get("starting_after"), given.get("ending_before")
    if after and before:
        raise invalid("You may only specify one of these parameters: ending_before, starting_after.")
    if after or before:
        name = "starting_after" if after else "ending_before"
        comparison = ">" if bool(after) == oldest_first else "<"
        found.add(f"seq {comparison} ?", _place(books, table, str(after or before), name))
    order = "ASC" if oldest_first != bool(before) else "DESC"
    query = f"SELECT body FROM {table} WHERE {' AND '.join(found.clauses)} ORDER BY seq {order} LIMIT ?"
    rows = books.store.rows(query, *found.values, limit + 1)
    data = [public(cast("Json", json.loads(row[0]))) for row in rows[:limit]]
    if before:
        data.reverse()
    return {"object": "list", "data": data, "has_more": len(rows) > limit, "url": url}


def _place(books: Books, table: str, key: str, param: str) -> int:
    row = books.store.one(f"SELECT seq FROM {table} WHERE id = ?", key)
    if row is None:
        raise missing("object", key, param, in_path=False)
    return int(row[0])
