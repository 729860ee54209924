"""Changing what a subscription is for: one plan, by which a preview shows and an update charges the same grosze."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from billing.sandbox.stripe.books import Books, public
from billing.sandbox.stripe.catalogue import price_from
from billing.sandbox.stripe.errors import Json, invalid
from billing.sandbox.stripe.invoice_shape import cost, proration_line
from billing.sandbox.stripe.params import merge_metadata
from billing.sandbox.stripe.periods import after, ends, items_of, rhythm, set_period, share, starts
from billing.sandbox.stripe.subscription_shape import build_item
from billing.sandbox.stripe.subscriptions import pending, periods

BEHAVIOURS = ("create_prorations", "always_invoice", "none")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change would make of a subscription."""

    subscription: Json
    """As it would be; the one that stands is not touched."""
    lines: list[Json]
    """What an invoice made now would carry; empty when none would be made."""
    restarts: bool
    """Whether a new period begins now."""
    proration_at: int | None
    """The instant at which the present period was divided."""


def plan(books: Books, subscription: Json, given: Json) -> Plan:
    """The change asked for by ``items``, ``billing_cycle_anchor``, ``proration_behavior`` and ``proration_date``."""
    changed = copy.deepcopy(subscription)
    old = items_of(subscription)
    new = _items(books, changed, cast("list[Json]", given.get("items") or []))
    changed["items"]["data"] = new
    at = _proration_at(books, subscription, given)
    behaviour = str(given.get("proration_behavior", BEHAVIOURS[0]))
    restarts = given.get("billing_cycle_anchor") == "now" or rhythm(old[0]) != rhythm(new[0])
    prorated = [] if behaviour == "none" else _prorations(books, changed["id"], old, new, at, whole=restarts)
    waiting = pending(changed)
    if restarts:
        restart(books, changed)
        now = [*waiting, *prorated, *periods(books, changed)]
        changed["_pending"] = []
    elif behaviour == "always_invoice" and prorated:
        now = [*waiting, *prorated]
        changed["_pending"] = []
    else:
        now = []
        changed["_pending"] = [*waiting, *prorated]
    if changed["cancel_at_period_end"]:
        changed["cancel_at"] = ends(changed)
    return Plan(changed, now, restarts, at if prorated else None)


def _proration_at(books: Books, subscription: Json, given: Json) -> int:
    at = int(given.get("proration_date", books.stamp))
    if not starts(subscription) <= at <= ends(subscription):
        message = "Cannot specify a proration date outside of the current billing period."
        raise invalid(message, param="proration_date")
    return at


def price_of(books: Books, line: Json, param: str) -> Json | None:
    """The recurring price that a line names or describes; None when it does neither."""
    if line.get("price") and line.get("price_data"):
        raise invalid("You may only specify one of these parameters: price, price_data.", param=param)
    if line.get("price_data"):
        price = price_from(books, line["price_data"], f"{param}[price_data]")
    elif line.get("price"):
        price = books.get(line["price"], "price", f"{param}[price]", in_path=False)
    else:
        return None
    if price["type"] != "recurring":
        message = (
            f"The price specified is set to `type=one_time` but this field only accepts recurring prices: {price['id']}"
        )
        raise invalid(message, param=f"{param}[price]")
    return price


def begun_with(books: Books, asked: Sequence[Json], where: str) -> list[Json]:
    """What a subscription that begins is for: a price and a quantity each."""
    lines: list[Json] = []
    for index, line in enumerate(asked):
        param = f"{where}[{index}]"
        price = price_of(books, line, param)
        if price is None:
            raise invalid(f"Missing required param: {param}[price].", param=f"{param}[price]")
        lines.append({"price": public(price), "quantity": int(line.get("quantity", 1)), "metadata": {}})
    if not lines:
        raise invalid("Missing required param: items.", code="parameter_missing", param="items")
    return check_items(lines, str(lines[0]["price"]["currency"]))


def _items(books: Books, subscription: Json, asked: list[Json]) -> list[Json]:
    """The items after the change, those that stay first."""
    standing = {str(item["id"]): item for item in items_of(subscription)}
    span = (starts(subscription), ends(subscription))
    added: list[Json] = []
    for index, line in enumerate(asked):
        param = f"items[{index}]"
        price = price_of(books, line, param)
        key = line.get("id")
        if key is None:
            if price is None:
                raise invalid(f"Missing required param: {param}[price].", code="parameter_missing", param=param)
            added.append(build_item(books, subscription["id"], price, int(line.get("quantity", 1)), *span))
            continue
        if key not in standing:
            raise invalid(f"No such subscription_item: '{key}'", code="resource_missing", param=f"{param}[id]")
        if line.get("deleted"):
            del standing[key]
            continue
        item = standing[key]
        item.update(price=price or item["price"], quantity=int(line.get("quantity", item["quantity"])))
        item["metadata"] = merge_metadata(item["metadata"], line.get("metadata"))
    return check_items([*standing.values(), *added], subscription["currency"])


def check_items(items: list[Json], currency: str) -> list[Json]:
    """Items that can stand together: at least one, one currency, one interval."""
    if not items:
        raise invalid("A subscription must have at least one active item.", param="items")
    if any(item["price"]["currency"] != currency for item in items):
        raise invalid("All prices on a subscription must have the same currency.", param="items")
    if len({rhythm(item) for item in items}) > 1:
        raise invalid("All prices on a subscription must have the same `recurring.interval`.", param="items")
    return items


def _prorations(
    books: Books, subscription: str, old: Sequence[Json], new: Sequence[Json], at: int, *, whole: bool
) -> list[Json]:
    """Credits for the rest of what was; unless a whole new period is billed, debits for the rest of what is now."""
    later = {str(item["id"]): item for item in new}
    earlier = {str(item["id"]): item for item in old}
    lines: list[Json] = []
    for key in dict.fromkeys([*earlier, *later]):
        was, now = earlier.get(key), later.get(key)
        if not whole and was and now and (was["price"]["id"], was["quantity"]) == (now["price"]["id"], now["quantity"]):
            continue
        if was:
            lines.append(_part(books, subscription, was, -cost(was), at))
        if now and not whole:
            lines.append(_part(books, subscription, now, cost(now), at))
    return lines


def _part(books: Books, subscription: str, item: Json, amount: int, at: int) -> Json:
    since, until = int(item["current_period_start"]), int(item["current_period_end"])
    part = share(amount, until - at, until - since)
    return proration_line(books, item, subscription, part, at, until)


def restart(books: Books, subscription: Json) -> None:
    """A new period, and a new rhythm, begin now."""
    subscription.update(billing_cycle_anchor=books.stamp, _cycle=1)
    set_period(subscription, books.stamp, after(books.stamp, *rhythm(items_of(subscription)[0])))


def unused(books: Books, subscription: Json, at: int) -> list[Json]:
    """Credits for everything from this instant to the end of the period."""
    return [_part(books, subscription["id"], item, -cost(item), at) for item in items_of(subscription)]


def remaining(books: Books, subscription: Json, at: int) -> list[Json]:
    """Debits for everything from this instant to the end of the period."""
    return [_part(books, subscription["id"], item, cost(item), at) for item in items_of(subscription)]
