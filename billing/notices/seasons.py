"""Telling that a season's passes end: once each account that shares one, all its pupils in one letter (R63).

Millions of passes end on the same day, so their letters are planned a crowd at a time. Which pupils a letter names, and
whether there still is something to say, is judged when it goes.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.reaching import reachable
from billing.catalog.values import Catalogue
from billing.kernel.days import day_of, end_of, last_day_before, next_opening, start_of
from billing.notices import service
from billing.notices.crowds import To, write_letters
from billing.subscriptions import season_end
from billing.subscriptions.season_end import Ending
from entitlements import crowds as desk

CROWD: Final = 10_000


async def plan_season_endings(session: AsyncSession, catalogue: Catalogue, at: datetime) -> int:
    """Plan letters about passes whose time to tell has come; answers of how many passes."""
    by = end_of(day_of(at) + timedelta(days=catalogue.season.notice_days))
    endings = await season_end.to_tell(session, by, at, CROWD)
    due = next_opening(at, *catalogue.trial.send_hours)
    letters = {to: (due, pupils) for to, pupils in (await _letters(session, endings)).items()}
    await write_letters(session, service.SEASON_ENDING, letters, at)
    return len(endings)


async def next_to_tell(session: AsyncSession, catalogue: Catalogue) -> datetime | None:
    """When the next pass is to be told of: from the start of a day, so many days before its last one."""
    end = await season_end.next_end(session)
    return None if end is None else start_of(last_day_before(end) - timedelta(days=catalogue.season.notice_days))


async def _letters(session: AsyncSession, endings: Sequence[Ending]) -> dict[To, set[str]]:
    """To whom, about which first day of the basic version, naming whom; nobody whom mail does not reach."""
    accounts = await desk.accounts_of_pupils(session, {ending.pupil for ending in endings})
    has_bounced = await reachable(session, {name for names in accounts.values() for name in names})
    letters: dict[To, set[str]] = {}
    for ending in endings:
        for account in accounts.get(ending.pupil, ()):
            if has_bounced.get(account) is False:
                letters.setdefault(To(account, day_of(ending.until)), set()).add(ending.pupil)
    return letters
