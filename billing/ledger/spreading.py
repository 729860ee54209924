"""When money that was paid ahead becomes revenue: day by day over the service, with no drift (R114). Pure.

What is earned by a day is rounded once, from the beginning; what is earned on a day is a difference. So the days of any
service sum to its price exactly, and a refund or an early end moves the rest without losing a grosz.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import msgspec


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """The days a payment bought, both included; `ended_on` is the day after which nothing more is owed, if it came
    before its time."""

    first_day: date
    last_day: date
    ended_on: date | None = None

    @property
    def days(self) -> int:
        """How many days were bought."""
        return (self.last_day - self.first_day).days + 1

    def is_over(self, on: date) -> bool:
        """Whether nothing is owed after the day `on`."""
        return on >= self.last_day or (self.ended_on is not None and on >= self.ended_on)


def earned_by(net: int, service: Service, on: date) -> int:
    """How much of `net` grosz is earned by the end of a day, half up.

    >>> earned_by(4499, Service(first_day=date(2026, 11, 21), last_day=date(2027, 6, 30)), date(2026, 11, 21))
    20
    """
    if service.is_over(on):
        return net
    passed = (on - service.first_day).days + 1
    if passed <= 0:
        return 0
    return (2 * net * passed + service.days) // (2 * service.days)


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day, both ends included."""
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def first_of_next_month(on: date) -> date:
    """The first day of the month after the one of `on`."""
    return (on.replace(day=1) + timedelta(days=32)).replace(day=1)
