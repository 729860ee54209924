"""Days are Warsaw days; instants are UTC. This is the only place where the two meet (R128)."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

WARSAW = ZoneInfo("Europe/Warsaw")
_SATURDAY = 5


def day_of(at: datetime) -> date:
    """The Warsaw calendar day an instant falls on."""
    return at.astimezone(WARSAW).date()


def start_of(on: date) -> datetime:
    """The first instant of a Warsaw day (2026-11-30 → 2026-11-29T23:00Z, golden table 8.4)."""
    return at_hour(on, 0)


def at_hour(on: date, hour: int) -> datetime:
    """The instant of a full hour on a Warsaw day. Midnight and office hours exist once on every day of the zone."""
    return datetime.combine(on, time(hour), WARSAW).astimezone(UTC)


def end_of(on: date) -> datetime:
    """The first instant after a Warsaw day."""
    return start_of(on + timedelta(days=1))


def within_hours(at: datetime, first: int, last: int) -> bool:
    """Whether the Warsaw wall clock at `at` shows `first`:00 or later, and is before `last`:00."""
    return first <= at.astimezone(WARSAW).hour < last


def next_opening(at: datetime, first: int, last: int) -> datetime:
    """`at` itself inside the hours, else the next instant they open."""
    if within_hours(at, first, last):
        return at
    today = day_of(at)
    opening = at_hour(today, first)
    return opening if opening >= at else at_hour(today + timedelta(days=1), first)


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("PL", years=year))


def is_working_day(on: date) -> bool:
    """Neither a Saturday, a Sunday nor a Polish public holiday."""
    return on.weekday() < _SATURDAY and on not in _holidays(on.year)


def last_day_before(until: datetime) -> date:
    """The last day of what holds until then: an end at midnight leaves the day before, a later one its own day."""
    return day_of(until - timedelta(microseconds=1))


def last_day_of_term(contract: date, days: int) -> date:
    """The last day of a consumer's term: the day of the contract is not counted, and an end on a Saturday, Sunday or
    public holiday moves to the next working day (R72, golden table 8.1)."""
    last = contract + timedelta(days=days)
    while not is_working_day(last):
        last += timedelta(days=1)
    return last


def iso(at: datetime) -> str:
    """RFC 3339 in UTC with Z; fractions of a second only where there are any."""
    text = at.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")
