"""What is owed since a refund failed: money that reached the buyer another way, by hand at the provider or through a
bank, is not owed any more (R75, R77, I13)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import service as checkout
from billing.checkout.fulfilment import give_back
from billing.checkout.service import Order
from billing.kernel import outbox
from billing.ledger import service as ledger
from billing.payments import refunds, refunds_by_hand
from billing.payments.rules import FINAL, Payment, Refund
from billing.withdrawals.disputed_money import rests

BANK = "bank"
"""Who is written down as having settled what a lost dispute took."""


async def waive(session: AsyncSession, refund: Refund, actor: str, reason: str, at: datetime) -> None:
    """A refund that failed is not owed any more: the books hold again what it undid, and the papers are to say so."""
    await refunds_by_hand.end_by_hand(session, refund.id, "waived", actor, reason, at)
    await ledger.book_refund_waived(session, refund.public_id, at)
    outbox.put(session, "refund.waived", at, refund=refund.public_id, order=refund.order)


async def settle(
    session: AsyncSession, payment: Payment, amount: int, actor: str, reference: str, at: datetime
) -> list[tuple[Refund, int]]:
    """`amount` grosz of a payment went back in some other way than ours: what was owed of it is settled by that first,
    so that nobody is paid twice. Answers what stays owed of which refund, in grosz."""
    still = list[tuple[Refund, int]]()
    for refund in await refunds.refunds_of(session, payment.order):
        if refund.payment != payment.id or refund.state not in FINAL or amount <= 0:
            continue
        await waive(session, refund, actor, reference, at)
        await cases.close_about(session, "bank_transfer", refund.public_id, "dismissed", at, reference, actor=actor)
        if refund.amount > amount:
            still.append((refund, refund.amount - amount))
        amount -= refund.amount
    return still


async def owe(
    session: AsyncSession, order: Order, payment: Payment, still: list[tuple[Refund, int]], at: datetime
) -> None:
    """What settling left over is set aside anew, for the same reason as before."""
    for former, rest in still:
        await give_back(
            session, order, payment, rest, former.reason, at,
            approved_by=former.approved_by, is_told_otherwise=True, scope=former.public_id,
        )  # fmt: skip


async def settle_what_a_bank_took(session: AsyncSession, order: Order, payment: UUID, at: datetime) -> None:
    """A lost dispute gave the buyer the money that a failed refund owes: what is owed beyond the rest of the payment is
    waived. Whichever of the two comes first, and as often as it is asked, it ends the same (I01). The caller has locked
    the payment."""
    for paid, rest in await rests(session, checkout.order_id(order)):
        if paid.id == payment and rest < 0:
            still = await settle(session, paid, -rest, BANK, "a lost dispute took it", at)
            await owe(session, order, paid, still, at)
