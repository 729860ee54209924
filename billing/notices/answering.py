"""Letters that answer a declaration of withdrawal: to the address it gave, else to the buyer's (R71, R81)."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.rules import is_address
from billing.accounts.service import Account
from billing.checkout import service as checkout
from billing.checkout.service import Order
from billing.kernel.days import day_of
from billing.kernel.pages import Seller, escaped
from billing.notices.letters import Letter, WithdrawalReceived, WithdrawalTooLate
from billing.notices.tables import LetterRow
from billing.payments.rules import refund_due_on
from billing.withdrawals import withdrawing
from billing.withdrawals.withdrawing import Declared, Withdrawal


class Answer(msgspec.Struct, frozen=True):
    """A letter, where it goes, and what of it is not kept in clear."""

    to: str
    letter: Letter
    secrets: tuple[str, ...]


async def answer(
    session: AsyncSession, row: LetterRow, person: Account | None, seller: Seller, public_url: str, secret: str
) -> Answer | None:
    """The answer to the order's declaration as it stands; None when who declared it is forgotten, or left no address
    that mail could reach."""
    order = await checkout.read_order(session, row.facts["order"])
    found = await withdrawing.find(session, order.id)
    told = None if found is None else withdrawing.declared(found, secret)
    taken = await withdrawing.of_order(session, order.id)
    if told is None or taken is None:
        return None
    to = told.contact if is_address(told.contact) else (person.address if person is not None else None)
    if to is None:
        return None
    token = checkout.order_token(secret, order)
    page = f"{public_url}/orders/{token}"
    letter = _received(order, taken, told, seller, page) if taken.state == "accepted" else _late(order, taken, seller)
    # What was declared is kept sealed, and so not in the copy of the letter either.
    words = sorted({text for text in (told.name, told.contact, told.reason) if text}, key=len, reverse=True)
    return Answer(to, letter, (token, *(form for word in words for form in (word, escaped(word)))))


def _received(order: Order, taken: Withdrawal, told: Declared, seller: Seller, page: str) -> WithdrawalReceived:
    return WithdrawalReceived(
        seller=seller,
        order_number=str(order.number),
        received_at=taken.received_at,
        sent_on=None if taken.channel == "online" else taken.sent_on,
        name=told.name,
        contact=told.contact,
        reason=told.reason,
        refund=taken.refund,
        kept=taken.kept,
        refund_due_on=refund_due_on(day_of(taken.received_at)),
        order_url=page,
    )


def _late(order: Order, taken: Withdrawal, seller: Seller) -> WithdrawalTooLate:
    return WithdrawalTooLate(seller=seller, order_number=str(order.number), last_day=taken.last_day)
