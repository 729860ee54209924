"""Sending refunds, and asking about those whose end is not known (R76)."""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.kernel.work import Work, one_by_one
from billing.payments import calls, refunds
from billing.payments.calls import NeverMade
from billing.payments.gateway import Gateway, ProviderBusy, ProviderRefused, ProviderUnknown
from billing.withdrawals.service import apply_refund

SEND = "refunds.send"
_BATCH = 20

log = structlog.get_logger(__name__)


def works(database: Database, gateway: Gateway) -> tuple[Work, ...]:
    """The work of bringing every reserved refund to its end."""

    async def next_due(session: AsyncSession) -> datetime | None:
        return await refunds.next_due(session)

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            claimed = await refunds.claim_due(session, at, limit=_BATCH)
        await one_by_one(SEND, claimed, lambda refund_id: _bring_on(database, gateway, refund_id, at))
        return len(claimed)

    return (Work(name=SEND, queue="webhooks", next_due=next_due, run=run),)


async def _bring_on(database: Database, gateway: Gateway, refund_id: UUID, at: datetime) -> None:
    """Send one refund, or read it again; an unknown outcome stays unknown until it has been read back (I15)."""
    async with database.begin() as session:
        refund = await refunds.read_refund(session, refund_id)
        intent = await refunds.refund_intent(session, refund, at)
    try:
        facts = await calls.make_refund(database, gateway, intent.id, at)
    except NeverMade:
        return
    except (ProviderBusy, ProviderUnknown) as fault:
        log.warning("refund_waits", refund=refund.public_id, fault=type(fault).__name__)
        return
    except ProviderRefused as fault:
        log.warning("refund_refused", refund=refund.public_id, reason=fault.reason)
        async with database.begin() as session:
            await refunds.record_refund_refused(session, refund_id, fault.reason, at)
        return
    async with database.begin() as session:
        await apply_refund(session, facts, at)
