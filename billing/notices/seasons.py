"""Telling that a season's passes end: once each account that shares one, all its pupils in one letter (R63).

Millions of passes end at the same instant, so their letters are planned a crowd at a time. Which pupils a letter names,
and whether there still is something to say, is judged when it goes.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.reaching import reachable
from billing.catalog.values import Catalogue
from billing.kernel.days import day_of, last_day_before, next_opening, start_of
from billing.kernel.db import wake
from billing.notices.crowds import letters
from billing.notices.kinds import SEASON_ENDING
from billing.notices.service import SEND
from billing.subscriptions import season_end
from entitlements import crowds as desk

CROWD: Final = 10_000


async def next_to_tell(session: AsyncSession, catalogue: Catalogue) -> datetime | None:
    """When the next pass is to be told of: from the start of a day, so many days before its last one."""
    end = await season_end.next_end(session)
    return None if end is None else _tell_from(end, catalogue)


async def plan_season_endings(session: AsyncSession, catalogue: Catalogue, at: datetime) -> int:
    """Plan letters about passes that end together, if it is time to tell of them; answers of how many passes."""
    end = await season_end.next_end(session)
    if end is None or at < _tell_from(end, catalogue):
        return 0
    opening = next_opening(at, *catalogue.trial.send_hours)
    planned, written = (await session.execute(_told(end, at, opening))).one()
    if written and opening <= at:
        wake(session, (SEND,))
    return planned


def _tell_from(end: datetime, catalogue: Catalogue) -> datetime:
    return start_of(last_day_before(end) - timedelta(days=catalogue.season.notice_days))


def _told(end: datetime, at: datetime, opening: datetime) -> Select[int, int]:
    """Of how many passes letters are planned, and how many letters are new; none to whom mail does not reach (R29)."""
    due = season_end.due_to_tell(end, CROWD).cte("due")
    linked = desk.accounts_of(due.c.pupil).offset(0).lateral("linked")
    person = reachable(linked.c.account).offset(0).lateral("person")
    reached = (
        select(due.c.pupil, linked.c.account, literal(day_of(end)).label("reverts_on"))
        .select_from(due.join(linked, true()).join(person, true()))
        .where(~person.c.has_bounced)
        .cte("reached")
    )
    new = letters(reached, SEASON_ENDING, at, opening).cte("new")
    made = season_end.planned_all(select(due.c.id), at).cte("done")
    return select(
        select(func.count()).select_from(made).scalar_subquery(),
        select(func.count()).select_from(new).scalar_subquery(),
    )
