"""Letters about money that goes another way, as they are true at the moment they go (I20)."""

from datetime import datetime
from typing import Final, cast

from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import Account
from billing.checkout import service as checkout
from billing.kernel.ids import parse
from billing.notices.compose_desk import Desk, Told
from billing.notices.letters import ComplaintAnswer, DisputeLost, RefundByBank
from billing.notices.tables import LetterRow
from billing.payments import refunds
from billing.payments.rules import FINAL
from billing.subscriptions import service as subscriptions
from billing.subscriptions.rules import LIVE
from billing.withdrawals import complaints
from billing.withdrawals.complaints import Outcome

KINDS: Final = ("dispute_lost", "refund_by_bank", "complaint_answer")


async def money_letter(session: AsyncSession, desk: Desk, row: LetterRow, _: Account, _at: datetime) -> Told | str:
    """The letter, or why there is nothing to say any more."""
    if row.kind == "complaint_answer":
        return await _complaint(session, desk, row)
    order = await checkout.read_order(session, row.facts["order"])
    number = str(order.number)
    if row.kind == "dispute_lost":
        held = await subscriptions.of_order(session, row.facts["order"])
        if any(right.state in LIVE for right in held):
            return "right_stands"
        return Told(DisputeLost(seller=desk.seller, order_number=number))
    refund = await refunds.read_refund(session, parse(refunds.PREFIX, row.facts["refund"]))
    if refund.state not in FINAL:
        return "settled_since"
    letter = RefundByBank(seller=desk.seller, order_number=number, amount=refund.amount, due_on=refund.legal_due_on)
    return Told(letter)


async def _complaint(session: AsyncSession, desk: Desk, row: LetterRow) -> Told | str:
    complaint = await complaints.find(session, row.facts["complaint"])
    answer = complaints.answer_of(complaint, desk.secret)
    if answer is None:
        return "forgotten"
    order = None if complaint.order_id is None else await checkout.read_order(session, complaint.order_id)
    letter = ComplaintAnswer(
        seller=desk.seller,
        received_on=complaint.received_on,
        outcome=cast("Outcome", complaint.outcome),
        answer=answer,
        order_number=None if order is None else str(order.number),
    )
    return Told(letter)
