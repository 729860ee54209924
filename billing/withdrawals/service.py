"""What the provider says of a refund becomes its state, with its line in the books, in one transaction (R76, I01)."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import outbox
from billing.ledger import rules as booking
from billing.ledger import service as ledger
from billing.payments import refunds
from billing.payments.gateway import RefundFacts
from billing.payments.rules import Refund


async def apply_refund(session: AsyncSession, facts: RefundFacts, at: datetime) -> str:
    """Take on what the provider says of a refund; answers its state, or `not_ours`."""
    told = await refunds.record_refund(session, facts, at)
    if told is None:
        return "not_ours"
    refund, has_changed = told
    if has_changed and refund.state == "succeeded":
        await _paid_out(session, refund, at)
    elif has_changed and refund.state in {"failed", "canceled"}:
        outbox.put(session, "refund.failed", at, refund=refund.public_id, order=refund.order)
    return refund.state


async def _paid_out(session: AsyncSession, refund: Refund, at: datetime) -> None:
    lines = booking.refund_paid(refund.amount)
    await ledger.post(session, f"refund_paid:{refund.public_id}", refund.order, lines, at)
    outbox.put(session, "refund.succeeded", at, refund=refund.public_id, order=refund.order, amount=refund.amount)
