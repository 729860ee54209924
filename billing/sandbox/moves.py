"""How the sandbox's clock is told to move: by an ISO 8601 duration or to an instant; forward only."""

import calendar
import re
from datetime import UTC, datetime, timedelta

from billing.kernel.days import WARSAW
from billing.kernel.errors import Conflict, Fault, Malformed

_DURATION = re.compile(
    r"P(?=.)(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,5})M)?(?:(?P<weeks>\d{1,5})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,10}(?:[.,]\d{1,6})?)S)?)?",
    re.ASCII,
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class ClockBackwards(Conflict):
    """The clock goes forward only: what has happened by now cannot be unhappened."""

    code = "conflict"


def after(start: datetime, duration: str) -> datetime:
    """The instant a duration such as ``P12D``, ``P1M`` or ``PT1H30M`` after another.

    Years, months, weeks and days are counted on the calendar and the wall clock of Europe/Warsaw, so a day may have 23
    or 25 hours; a month's missing day becomes its last (ISO 8601 leaves that open). A wall time that the spring change
    skips moves forward by the hour skipped; one that autumn shows twice is its first showing. Hours and less are
    elapsed time. Raises ``Malformed``.
    """
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise _bad("/advance", "bad_duration", "Expected an ISO 8601 duration such as P12D, P1M or PT1H")
    parts = {name: float(text.replace(",", ".")) for name, text in found.groupdict(default="0").items()}
    try:
        return _on_the_calendar(start, parts) + timedelta(
            hours=parts["hours"], minutes=parts["minutes"], seconds=parts["seconds"]
        )
    except (OverflowError, ValueError) as error:
        raise _bad("/advance", "too_far", "The duration leads beyond the calendar's end") from error


def _on_the_calendar(start: datetime, parts: dict[str, float]) -> datetime:
    months = int(parts["years"]) * 12 + int(parts["months"])
    days = int(parts["weeks"]) * 7 + int(parts["days"])
    if not months and not days:
        return start
    wall = start.astimezone(WARSAW)
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    moved = wall.replace(year=year, month=month + 1, day=min(wall.day, last), fold=0) + timedelta(days=days)
    return moved.astimezone(UTC)


def instant(text: str) -> datetime:
    """An RFC 3339 instant with its offset, in UTC. Raises ``Malformed``."""
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (OverflowError, ValueError):
        pass  # such as the 30th of February: the same answer as for any other text
    raise _bad("/to", "bad_instant", "Expected an RFC 3339 instant with an offset, such as 2026-11-30T00:00:00+01:00")


def target(now: datetime, advance: str | None, to: str | None) -> datetime:
    """Where the clock shall go, told by exactly one of the two. Raises ``Malformed`` or ``ClockBackwards``."""
    if advance is not None and to is not None:
        raise _bad("/to", "one_of", "Give either `advance` or `to`, not both")
    if advance is not None:
        return after(now, advance)
    if to is None:
        raise _bad("", "one_of", "Give `advance` (a duration) or `to` (an instant)")
    wanted = instant(to)
    if wanted < now:
        raise ClockBackwards("The sandbox's clock goes forward only.")
    return wanted


def _bad(pointer: str, code: str, detail: str) -> Malformed:
    return Malformed(f"The clock cannot be moved: {detail}.", faults=(Fault(pointer, code, detail),))
