"""The work of telling people: planning what the facts call for, and sending what is due."""

from datetime import datetime

from billing.catalog.values import TrialPolicy
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.notices import service
from billing.notices.planning import plan_trial_endings
from billing.notices.sending import PostOffice
from billing.trials import service as trials


def works(database: Database, office: PostOffice, policy: TrialPolicy) -> tuple[Work, ...]:
    """Planning and sending."""

    async def plan(at: datetime) -> int:
        async with database.begin() as session:
            return await plan_trial_endings(session, policy, at)

    return (
        Work(name="letters.plan", queue="notices", next_due=trials.next_to_tell, run=plan),
        Work(name=service.SEND, queue="notices", next_due=service.next_letter, run=office.send_due),
    )
