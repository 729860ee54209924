"""The work of telling people: planning what the facts call for, and sending what is due."""

from datetime import datetime
from functools import partial

from billing.catalog.values import Catalogue
from billing.kernel.db import Database
from billing.kernel.ids import parse, public
from billing.kernel.parking import Sort
from billing.kernel.work import Work
from billing.notices import service
from billing.notices.planning import plan_trial_endings
from billing.notices.seasons import next_to_tell, plan_season_endings
from billing.notices.sending import TRIED_TOO_OFTEN, PostOffice
from billing.notices.tables import LetterRow
from billing.trials import untold

PARKED = Sort(
    name="letters", table=LetterRow, kind=LetterRow.kind, why=LetterRow.fault, since=LetterRow.created_at,
    waiting="planned", work=service.SEND, told=partial(public, "ntc"), read=partial(parse, "ntc"),
    may=LetterRow.fault == TRIED_TOO_OFTEN,
)  # fmt: skip
"""Letters that are given up. One that the mail server may have taken, twice, is not sent a third time."""


def works(database: Database, office: PostOffice, catalogue: Catalogue) -> tuple[Work, ...]:
    """Planning and sending."""

    async def plan(at: datetime) -> int:
        async with database.begin() as session:
            return await plan_trial_endings(session, catalogue.trial, at)

    async def plan_seasons(at: datetime) -> int:
        async with database.begin() as session:
            return await plan_season_endings(session, catalogue, at)

    next_season = partial(next_to_tell, catalogue=catalogue)
    return (
        Work(name="letters.plan", queue="notices", next_due=untold.next_due, run=plan),
        Work(name="letters.seasons", queue="notices", next_due=next_season, run=plan_seasons),
        Work(name=service.SEND, queue="notices", next_due=service.next_letter, run=office.send_due),
    )
