"""Refunds that two people send by a bank transfer, because the way the money came does not take it back (R75, R117)."""

from datetime import date, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.cases.service import Case
from billing.kernel import audit
from billing.kernel.errors import Conflict
from billing.kernel.ids import parse
from billing.ledger import service as ledger
from billing.payments import refunds, refunds_by_hand
from billing.payments.rules import FINAL
from billing.withdrawals import owed
from billing.withdrawals.service import tell_of_success

AGREED_ON: Final = "agreed_on"


async def agree(session: AsyncSession, row: Case, on: date, actor: str, at: datetime) -> None:
    """The buyer agreed on that day to be paid by a transfer; the account number is kept by the bank, not here. Raises
    Conflict for a case that is closed."""
    if row.state == "closed":
        raise Conflict("This case is closed.", code="conflict")
    row.facts = {**row.facts, AGREED_ON: on.isoformat()}
    audit.record(session, at, "case.agreed", cases.case_id(row), actor=actor, account=row.account, on=on.isoformat())


async def decide(session: AsyncSession, row: Case, outcome: str, actor: str, reason: str, at: datetime) -> bool:
    """Two people say that it was sent, or that nothing is owed any more; answers whether it has ended. What was sent is
    booked against our bank account, what is not owed stands again as before.

    Raises Conflict where the buyer has not agreed to a transfer, and what `cases.decide` raises.
    """
    if outcome == "sent" and AGREED_ON not in row.facts:
        raise Conflict("The buyer has not agreed to a bank transfer yet.", code="conflict")
    refund = await refunds.read_refund(session, parse(refunds.PREFIX, row.about))
    if outcome == "sent" and refund.state not in FINAL:
        raise Conflict("This refund goes back the way the money came.", code="conflict", refund=row.about)
    if not await cases.decide(session, row, outcome, actor, reason, at):
        return False
    if refund.state not in FINAL:
        return True
    if outcome == "sent":
        refund, _ = await refunds_by_hand.end_by_hand(session, refund.id, "sent_by_bank", actor, reason, at)
        await ledger.book_refund_paid(session, refund.order, refund.public_id, refund.amount, at, by_bank=True)
        tell_of_success(session, refund, at)
    else:
        await owed.waive(session, refund, actor, reason, at)
    return True
