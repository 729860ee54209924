"""How long a link lives. Pure."""

from datetime import date, datetime, timedelta

from billing.kernel.days import day_of, end_of


def expires_at(at: datetime, days: int, reverts_on: date | None = None) -> datetime:
    """The end of the last Warsaw day of a link: `days` after it was made, or after the trial's end if that is later.

    Made on 2026-11-21, 14 days: good to 2026-12-05 23:59:59, not at 2026-12-06 00:00 (R32).
    """
    from_day = max(day_of(at), reverts_on or date.min)
    return end_of(from_day + timedelta(days=days))
