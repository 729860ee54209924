"""Events whose delivery was lost, taken from the provider's own list, once a day (I02, F34).

Orders and refunds that wait for news are asked about by their own sweeps; what nobody waits for, such as a dispute, or
a refund that fails after it succeeded, is found here. The provider keeps its list for 30 days. Each look is an intent
like any other call: the day is its target, so that no day is looked at twice or forgotten (I23).
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import at_hour, day_of
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments import service as payments
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway
from billing.payments.rules import Intent
from billing.payments.stretches import in_parts
from webhooks import service
from webhooks.translate import HANDLED, head_of

CATCH_UP: Final = "webhooks.catch_up"
KIND: Final = "events"
HOUR: Final = 4
AGAIN: Final = timedelta(hours=1)
OVERLAP: Final = timedelta(hours=6)
LONGEST: Final = timedelta(days=30)
MOST_KINDS: Final = 20
"""How many kinds of events the provider lists at once."""
_SECOND: Final = timedelta(seconds=1)

log = structlog.get_logger(__name__)


def catching_up(database: Database, gateway: Gateway) -> Work:
    """The daily comparison; while the provider does not answer it is tried again every hour."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            begun = await _begin(session, at)
        if begun is None:
            return 0
        intent, since = begun
        try:
            await catch_up(database, gateway, since, at)
        except ProviderError as fault:
            log.warning("catch_up_failed", fault=type(fault).__name__)
            async with database.begin() as session:
                await payments.record_refused(session, intent.id, type(fault).__name__, at)
            return 0
        async with database.begin() as session:
            await payments.record_done(session, intent.id, intent.key, at)
        return 1

    return Work(name=CATCH_UP, queue="provider", next_due=_next_due, run=run)


async def catch_up(database: Database, gateway: Gateway, since: datetime, at: datetime) -> int:
    """Keep every event since `since` that was never acknowledged and that we have not seen; answers how many.
    Of more than the provider lists at once, a part after the other is kept."""
    kept = 0
    for start in range(0, len(HANDLED), MOST_KINDS):
        listed = partial(gateway.list_events, types=HANDLED[start : start + MOST_KINDS], undelivered=True)
        async for found in in_parts(listed, max(since, at - LONGEST), at + _SECOND):
            heads = [head_of(event.body, expects_livemode=gateway.livemode) for event in found]
            async with database.begin() as session:
                kept += sum([await service.keep(session, head, at) for head in heads])
    return kept


async def _begin(session: AsyncSession, at: datetime) -> tuple[Intent, datetime] | None:
    """The look that is due at `at` and since when to look; one whose worker died is given up first."""
    due = await _next_due(session)
    if due is None or due > at:
        return None
    last = await payments.last_of_kind(session, KIND)
    if last is not None and last.state in {"new", "unknown"}:
        await payments.record_refused(session, last.id, "given_up", at)
    intent = await payments.reserve(session, KIND, day_of(at).isoformat(), {}, at)
    if intent.created_at != at:
        return None
    done = await payments.last_of_kind(session, KIND, "done")
    return intent, at - LONGEST if done is None else done.created_at - OVERLAP


async def _next_due(session: AsyncSession) -> datetime | None:
    last = await payments.last_of_kind(session, KIND)
    if last is not None and last.state != "done":
        return last.created_at + AGAIN
    since = await payments.first_call_at(session) if last is None else last.created_at
    return None if since is None else at_hour(day_of(since) + timedelta(days=1), HOUR)
