"""What time does to renewing subscriptions: wishes are pushed, charges are let or stopped ahead of their day, and what
was not heard of is asked about (I02, R65, R66)."""

from datetime import datetime
from uuid import UUID

import structlog

from billing.catalog.values import Catalogue
from billing.checkout import changing
from billing.checkout.pushing import bring
from billing.checkout.renewing import apply_subscription
from billing.checkout.renewing_orders import LOOK
from billing.kernel.db import Database
from billing.kernel.outbox import backoff
from billing.kernel.work import Work, one_by_one
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway
from billing.subscriptions import periods, renewing, rows, wishes
from billing.subscriptions import renewing_rules as rules

GUARD = "renewals.guard"
_BATCH = 20

log = structlog.get_logger(__name__)


def works(database: Database, gateway: Gateway, catalogue: Catalogue) -> tuple[Work, ...]:
    """Pushing, guarding, looking."""

    async def push(at: datetime) -> int:
        async with database.begin() as session:
            due = await rows.claim(session, "push", at, _BATCH)
            for row in due:
                row.tries += 1
                row.push_at = at + backoff(row.tries)
        await one_by_one(wishes.PUSH, [row.id for row in due], lambda key: bring(database, gateway, key, at))
        return len(due)

    async def guard(at: datetime) -> int:
        async with database.begin() as session:
            due = await rows.claim(session, "guard", at, _BATCH)
            for row in due:
                await renewing.decide(session, row, catalogue, at)
        return len(due)

    async def look(at: datetime) -> int:
        async with database.begin() as session:
            due = await rows.claim(session, "look", at, _BATCH)
            for row in due:
                row.checks += 1
                row.check_at = at + min(rules.FIRST_LOOK * 2 ** min(row.checks, 9), rules.LONGEST_LOOK)
        await one_by_one(LOOK, [row.id for row in due], lambda key: _look(database, gateway, key, at))
        return len(due)

    return (
        Work(name=wishes.PUSH, queue="provider", next_due=rows.earliest("push"), run=push),
        Work(name=GUARD, queue="bulk", next_due=rows.earliest("guard"), run=guard),
        Work(name=LOOK, queue="provider", next_due=rows.earliest("look"), run=look),
    )


async def _look(database: Database, gateway: Gateway, key: UUID, at: datetime) -> None:
    """Ask the provider again; what time alone has changed is written down whether it answers or not."""
    async with database.begin() as session:
        row = await wishes.lock(session, key)
        name, accepted = row.provider_id, await rows.unfinished_change(session, row.id)
    if name is None:
        return
    try:
        if accepted is not None:
            await changing.make_change(database, gateway, accepted, at)
        facts = await gateway.renewals.read_subscription(name)
    except ProviderError as fault:
        log.warning("renewal_not_read", fault=type(fault).__name__)
        async with database.begin() as session:
            await periods.settle(session, await wishes.lock(session, key), at)
        return
    async with database.begin() as session:
        await apply_subscription(session, facts, at)
