"""One account, one order: everything that is known of them."""

from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.tables import AccountRow
from billing.checkout.tables import ConsentRow, OrderRow
from billing.finance.queries.history import Entry, Scope, timeline
from billing.kernel.ids import public
from billing.ledger.tables import LedgerLineRow
from billing.payments.tables import IntentRow, PaymentRow, RefundRow
from billing.subscriptions.tables import SubscriptionRow
from entitlements.tables import LinkRow, PupilRow


class PupilSeen(msgspec.Struct, frozen=True):
    """A linked pupil and its school."""

    pupil: str
    school: str | None


class AccountSeen(msgspec.Struct, frozen=True):
    """An account; `person` is None when nothing is kept of it but its orders (erased)."""

    account: str
    person: AccountRow | None
    pupils: list[PupilSeen]
    orders: list[OrderRow]
    entries: list[Entry]


class OrderSeen(msgspec.Struct, frozen=True):
    """An order with its money, its rights and its history. Money in grosz."""

    name: str
    order: OrderRow
    consents: list[ConsentRow]
    payments: list[PaymentRow]
    refunds: list[RefundRow]
    lines: list[LedgerLineRow]
    intents: list[IntentRow]
    passes: list[SubscriptionRow]
    entries: list[Entry]


async def account_seen(session: AsyncSession, account: str) -> AccountSeen | None:
    """All of one account; None when nothing at all is known of it."""
    person = await session.get(AccountRow, account)
    linked = select(LinkRow.pupil, PupilRow.school).join(PupilRow, PupilRow.pupil == LinkRow.pupil)
    rows = await session.execute(linked.where(LinkRow.account == account).order_by(LinkRow.linked_at, LinkRow.pupil))
    pupils = [PupilSeen(*row) for row in rows]
    orders = list(await session.scalars(select(OrderRow).where(OrderRow.account == account).order_by(OrderRow.id)))
    if person is None and not orders and not pupils:
        return None
    scope = Scope(account=account, pupils=tuple(seen.pupil for seen in pupils), orders=tuple(orders))
    return AccountSeen(account, person, pupils, orders, await timeline(session, scope))


async def order_seen(session: AsyncSession, key: UUID) -> OrderSeen | None:
    """All of one order."""
    order = await session.get(OrderRow, key)
    if order is None:
        return None
    name = public("ord", key)
    payments = select(PaymentRow).where(PaymentRow.order_id == name).order_by(PaymentRow.id)
    refunds = list(await session.scalars(select(RefundRow).where(RefundRow.order_id == name).order_by(RefundRow.id)))
    lines = select(LedgerLineRow).where(LedgerLineRow.order_id == name).order_by(LedgerLineRow.at, LedgerLineRow.id)
    targets = [name, *(public("ref", refund.id) for refund in refunds)]
    intents = select(IntentRow).where(IntentRow.target.in_(targets)).order_by(IntentRow.id)
    passes = select(SubscriptionRow).where(SubscriptionRow.order_id == name).order_by(SubscriptionRow.id)
    consents = select(ConsentRow).where(ConsentRow.order_id == key).order_by(ConsentRow.kind, ConsentRow.id)
    return OrderSeen(
        name=name,
        order=order,
        consents=list(await session.scalars(consents)),
        payments=list(await session.scalars(payments)),
        refunds=refunds,
        lines=list(await session.scalars(lines)),
        intents=list(await session.scalars(intents)),
        passes=list(await session.scalars(passes)),
        entries=await timeline(session, Scope(orders=(order,))),
    )
