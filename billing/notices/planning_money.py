"""Letters that messages about refunds, disputes and complaints call for."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.outbox import Message
from billing.notices import service


async def on_refund_failed(session: AsyncSession, message: Message, at: datetime) -> None:
    """The money must go by a bank transfer, which needs the buyer's agreement (R75)."""
    facts = message.facts
    if facts.get("account") is not None:
        await service.plan_letter(
            session, facts["account"], "refund_by_bank", facts["refund"], at,
            refund=facts["refund"], order=facts["order"],
        )  # fmt: skip


async def on_dispute_lost(session: AsyncSession, message: Message, at: datetime) -> None:
    """The right has ended, and its buyer is told why (R60)."""
    facts = message.facts
    if facts.get("account") is not None:
        await service.plan_letter(session, facts["account"], "dispute_lost", facts["order"], at, order=facts["order"])


async def on_complaint_answered(session: AsyncSession, message: Message, at: datetime) -> None:
    """The answer goes out on a durable medium (R80)."""
    facts = message.facts
    if facts.get("account") is not None:
        await service.plan_letter(
            session, facts["account"], "complaint_answer", facts["complaint"], at, complaint=facts["complaint"]
        )
