"""Periods in UTC: when one ends, how long the shortest is, and exact shares of an amount."""

import calendar
from datetime import UTC, datetime
from typing import cast

from billing.sandbox.stripe.errors import Json

HOUR, DAY = 3600, 86400


def after(anchor: int, interval: str, count: int) -> int:
    """The instant ``count`` intervals after the anchor; a month without the anchor's day uses its last day."""
    if interval in ("day", "week"):
        return anchor + count * DAY * (7 if interval == "week" else 1)
    start = datetime.fromtimestamp(anchor, UTC)
    months = start.year * 12 + start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def items_of(subscription: Json) -> list[Json]:
    """The subscription's items."""
    return cast("list[Json]", subscription["items"]["data"])


def rhythm(item: Json) -> tuple[str, int]:
    """Interval and count of an item's price."""
    recurring = item["price"]["recurring"]
    return str(recurring["interval"]), int(recurring["interval_count"])


def starts(subscription: Json) -> int:
    """The start of the period: it stands on the item."""
    return int(items_of(subscription)[0]["current_period_start"])


def ends(subscription: Json) -> int:
    """The end of the period that is paid for (or asked to be): it stands on the item."""
    return int(items_of(subscription)[0]["current_period_end"])


def set_period(subscription: Json, since: int, until: int) -> None:
    """Move every item to this period."""
    for item in items_of(subscription):
        item.update(current_period_start=since, current_period_end=until)


def share(amount: int, part: int, whole: int) -> int:
    """``amount * part / whole`` in minor units, half a unit rounded away from zero."""
    rounded = (2 * abs(amount) * part + whole) // (2 * whole)
    return rounded if amount >= 0 else -rounded
