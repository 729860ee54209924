"""``expand[]``: ids become the objects they name, and lists that are left out come in."""

from collections.abc import Callable
from typing import cast

from billing.sandbox.stripe.books import Books, public, whole
from billing.sandbox.stripe.errors import Json, invalid

_LISTS: dict[tuple[str, str], Callable[[Books, str], Json]] = {
    ("checkout.session", "line_items"): lambda books, key: whole(
        books.store.children(key, "item"), f"/v1/checkout/sessions/{key}/line_items"
    ),
    ("charge", "refunds"): lambda books, key: whole(
        books.store.children(key, "refund")[::-1], f"/v1/charges/{key}/refunds"
    ),
    ("invoice", "payments"): lambda books, key: whole(
        books.store.children(key, "invoice_payment"), f"/v1/invoice_payments?invoice={key}"
    ),
    ("customer", "subscriptions"): lambda books, key: whole(
        books.store.all_of("subscription", "AND json_extract(body, '$.customer') = ?", key),
        f"/v1/customers/{key}/subscriptions",
    ),
}
_DEEPEST = 4


def expand(books: Books, answer: Json, paths: list[str]) -> Json:
    """The answer with every path expanded; a path that cannot be is a 400."""
    for path in paths:
        parts = path.split(".")
        if len(parts) - parts.count("data") > _DEEPEST:
            raise invalid(f"You cannot expand more than {_DEEPEST} levels of a property ({path}).", param="expand")
        _walk(books, answer, parts, path)
    return answer


def _walk(books: Books, node: Json, parts: list[str], path: str) -> None:
    name, rest = parts[0], parts[1:]
    value = node.get(name)
    include = _LISTS.get((str(node.get("object")), name))
    if value is None and include is not None and "id" in node:
        value = node[name] = include(books, str(node["id"]))
    elif isinstance(value, str):
        found = books.store.get(value)
        if found is None or name == "id":
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
        value = node[name] = public(found)
    elif name not in node:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    if not rest:
        return
    for child in cast("list[object]", value) if isinstance(value, list) else [value]:
        if isinstance(child, dict):
            _walk(books, cast("Json", child), rest, path)
