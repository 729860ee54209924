"""Sending refunds, asking about those whose end is not known, and watching their days (R75, R76)."""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.kernel.work import Work, one_by_one
from billing.payments import calls, early, refunds, refunds_by_hand
from billing.payments import service as payments
from billing.payments.calls import NeverMade
from billing.payments.facts import (
    ProviderBusy,
    ProviderError,
    ProviderMissing,
    ProviderRefused,
    ProviderUnknown,
    RefundFacts,
)
from billing.payments.gateway import Gateway
from billing.payments.rules import Refund, is_too_old
from billing.withdrawals import complaints
from billing.withdrawals.disputes import apply_dispute
from billing.withdrawals.service import apply_refund, has_failed

SEND = "refunds.send"
WARN = "refunds.warn"
EARLY = "refunds.early"
LAPSE = "complaints.lapse"
TOO_OLD = "too_old_for_its_method"
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

    async def warn(at: datetime) -> int:
        async with database.begin() as session:
            return await refunds_by_hand.warn(session, at)

    async def lapse(at: datetime) -> int:
        async with database.begin() as session:
            return await complaints.accept_by_law(session, at, limit=_BATCH)

    return (
        Work(name=SEND, queue="provider", next_due=next_due, run=run),
        Work(name=WARN, queue="bulk", next_due=refunds_by_hand.next_warning, run=warn),
        Work(name=LAPSE, queue="bulk", next_due=complaints.next_lapse, run=lapse),
        _early(database, gateway),
    )


def _early(database: Database, gateway: Gateway) -> Work:
    """Reading again what was told of payments that have become known since."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            claimed = await early.claim(session, at, limit=_BATCH)
        await one_by_one(EARLY, claimed, lambda told: judge(*told, at))
        return len(claimed)

    async def judge(kind: early.Subject, object_id: str, at: datetime) -> None:
        try:
            facts = await (gateway.read_refund(object_id) if kind == "refund" else gateway.read_dispute(object_id))
        except ProviderMissing:
            facts = None
        except ProviderError as fault:
            log.warning("early_news_not_read", object=object_id, fault=type(fault).__name__)
            return
        async with database.begin() as session:
            if isinstance(facts, RefundFacts):
                await apply_refund(session, facts, at)
            elif facts is not None:
                await apply_dispute(session, facts, at)
            await early.forget(session, object_id)

    return Work(name=EARLY, queue="provider", next_due=early.next_due, run=run)


async def _bring_on(database: Database, gateway: Gateway, refund_id: UUID, at: datetime) -> None:
    """Send one refund, or read it again; an unknown outcome stays unknown until it has been read back (I15)."""
    async with database.begin() as session:
        refund = await refunds.read_refund(session, refund_id)
        if await _is_too_late(session, refund, at):
            await _refused(session, refund_id, TOO_OLD, at)
            return
    try:
        facts = await _made(database, gateway, refund, at)
    except NeverMade:
        return
    except (ProviderBusy, ProviderUnknown) as fault:
        log.warning("refund_waits", refund=refund.public_id, fault=type(fault).__name__)
        return
    except ProviderRefused as fault:
        log.warning("refund_refused", refund=refund.public_id, reason=fault.reason)
        async with database.begin() as session:
            await _refused(session, refund_id, fault.reason, at)
        return
    async with database.begin() as session:
        await apply_refund(session, facts, at)


async def _made(database: Database, gateway: Gateway, refund: Refund, at: datetime) -> RefundFacts:
    """What the provider says of a refund. One it has made already, by our call or by somebody's hand in its own
    dashboard, is read and never made again (I13)."""
    if refund.provider_id is not None:
        return await gateway.read_refund(refund.provider_id)
    async with database.begin() as session:
        intent = await refunds.refund_intent(session, refund, at)
    return await calls.make_refund(database, gateway, intent.id, at)


async def _is_too_late(session: AsyncSession, refund: Refund, at: datetime) -> bool:
    """Whether the way the money came takes none back any more, and nobody has asked for it before (R75)."""
    paid = await payments.find_payment(session, refund.payment_id)
    if paid is None or refund.provider_id is not None or not is_too_old(paid.method, paid.captured_at, at):
        return False
    intent = await refunds.open_intent(session, refund)
    if intent is not None and intent.state == "new":
        await payments.record_refused(session, intent.id, TOO_OLD, at)
    return intent is None or intent.state == "new"


async def _refused(session: AsyncSession, refund_id: UUID, reason: str, at: datetime) -> None:
    """It will not go back the way it came: a person's task from here (R75)."""
    refund = await refunds.record_refund_refused(session, refund_id, reason, at)
    if refund.state == "failed":
        await has_failed(session, refund, at)
