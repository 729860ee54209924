"""Whom the stories are about, and the days and instants they are told in."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

WARSAW = ZoneInfo("Europe/Warsaw")
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)
PASS_PRICE = 4499
ADD_ONS = ("messages", "desk_view", "push_notifications", "homework")


@dataclass
class Family:
    """One account with its pupils and, once linked, the trial of the last one."""

    account: str
    email: str
    pupils: list[str] = field(default_factory=list[str])
    school: str = "school"
    trial: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def pupil(self) -> str:
        """The only pupil."""
        assert len(self.pupils) == 1
        return self.pupils[0]

    @property
    def day(self) -> date:
        """D: the day on which the basic version returns, as told when the pupil was linked."""
        return date.fromisoformat(self.trial["reverts_on"])


def midnight(on: date) -> datetime:
    """00:00 of a day in Warsaw, as an instant."""
    return datetime.combine(on, time(), WARSAW).astimezone(UTC)


def morning(on: date, hour: int = 8) -> datetime:
    """A full hour of a day in Warsaw, as an instant."""
    return datetime.combine(on, time(hour), WARSAW).astimezone(UTC)


def instant(text: str) -> datetime:
    """An instant as the API writes it."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def season_end(now: datetime) -> date:
    """The last day of the season on sale now: the nearest 30 June, in June already the next one (R5, R6)."""
    today = now.astimezone(WARSAW).date()
    return date(today.year + (today.month >= 6), 6, 30)


MONTHS = ("stycznia", "lutego", "marca", "kwietnia", "maja", "czerwca", "lipca", "sierpnia", "września",
          "października", "listopada", "grudnia")  # fmt: skip


def polish(on: date) -> str:
    """30 czerwca 2027 r."""
    return f"{on.day} {MONTHS[on.month - 1]} {on.year} r."


def plain(text: str) -> str:
    """The text with gaps, the no-break ones among them, made one space."""
    return " ".join(text.split())
