"""What is owed since a refund failed, and what is left of each payment: money that reached the buyer another way, by
hand at the provider or through a bank, is not owed any more (R75, R77, I13)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import service as checkout
from billing.checkout.fulfilment import give_back
from billing.checkout.service import Order
from billing.ledger import service as ledger
from billing.payments import refunds, refunds_by_hand
from billing.payments import service as payments
from billing.payments.rules import FINAL, Payment, Refund
from billing.withdrawals.disputed_money import taken_of

BANK = "bank"
"""Who is written down as having settled what a lost dispute took."""

Rest = tuple[Refund, int]


async def left(session: AsyncSession, order: str) -> list[tuple[Payment, int]]:
    """Each payment of the order, locked, oldest first, with what of it may still go back, in grosz: not what refunds
    took or failed to bring, nor what a bank took."""
    found = await refunds.refunds_of(session, order)
    taken = await taken_of(session, order)
    return [
        (paid, max(paid.refundable - _owed(found, paid.id) - taken.get(paid.id, 0), 0))
        for paid in await payments.payments_of(session, order, lock=True)
    ]


async def settle(
    session: AsyncSession, payment: Payment, amount: int, actor: str, reference: str, at: datetime
) -> list[Rest]:
    """`amount` grosz of a payment went back in some other way than ours: what was owed of it is settled by that first,
    so that nobody is paid twice. Answers what stays owed of which refund, in grosz."""
    still = list[Rest]()
    for refund in await refunds.refunds_of(session, payment.order):
        if refund.payment != payment.id or refund.state not in FINAL or amount <= 0:
            continue
        await refunds_by_hand.end_by_hand(session, refund.id, "waived", actor, reference, at)
        await ledger.book_refund_waived(session, refund.public_id, at)
        await cases.close_about(session, "bank_transfer", refund.public_id, "dismissed", at, reference, actor=actor)
        if refund.amount > amount:
            still.append((refund, refund.amount - amount))
        amount -= refund.amount
    return still


async def owe(session: AsyncSession, order: Order, payment: Payment, still: list[Rest], at: datetime) -> None:
    """What settling left over is set aside anew, for the same reason as before."""
    for former, rest in still:
        await give_back(
            session, order, payment, rest, former.reason, at,
            approved_by=former.approved_by, is_told_otherwise=True, scope=former.public_id,
        )  # fmt: skip


async def settle_what_a_bank_took(session: AsyncSession, order: Order, payment: UUID, at: datetime) -> None:
    """A lost dispute gave the buyer the money that a failed refund owes: what is owed beyond the rest of the payment is
    waived. Whichever of the two comes first, and as often as it is asked, it ends the same (I01)."""
    name = checkout.order_id(order)
    (paid,) = [each for each in await payments.payments_of(session, name, lock=True) if each.id == payment]
    taken = (await taken_of(session, name)).get(payment, 0)
    owed = _owed(await refunds.refunds_of(session, name), payment)
    over = min(paid.refund_reserved + owed + taken - paid.amount, owed, taken)
    if over > 0:
        still = await settle(session, paid, over, BANK, "a lost dispute took it", at)
        await owe(session, order, paid, still, at)


def _owed(found: tuple[Refund, ...], payment: UUID) -> int:
    return sum(refund.amount for refund in found if refund.payment == payment and refund.state in FINAL)
