"""Taking in a withdrawal, whole orders only: it was in time and undoes the contract in one transaction, or it was late.

An order may be withdrawn from whatever its state. Where no money has come yet, what still comes goes back by itself
(`checkout.fulfilment`); where it went back before, or none was asked, only the rights end.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.rules import is_address
from billing.accounts.service import find_accounts
from billing.catalog.values import Catalogue, RefundPolicy, TrialPolicy
from billing.checkout import service as checkout
from billing.checkout.fulfilment import give_back
from billing.checkout.service import Order
from billing.kernel import audit, outbox
from billing.kernel.days import day_of, last_day_before
from billing.kernel.errors import Fault, Invalid
from billing.kernel.ids import new_id, parse, public
from billing.kernel.sealing import seal, unseal
from billing.payments import refunds
from billing.subscriptions import service as subscriptions
from billing.subscriptions.service import Subscription
from billing.trials import service as trials
from billing.withdrawals import disputed_money, rules
from billing.withdrawals.effects import apply_effect
from billing.withdrawals.rules import Channel, Right, State
from billing.withdrawals.tables import WithdrawalRow

PREFIX = "wdr"
_UNDONE = frozenset({"withdrawn", "refunded", "disputed"})


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of this place: how many days there are, what goes back, and the secret that evidence is sealed with."""

    days: int
    policy: RefundPolicy
    trial: TrialPolicy
    secret: str


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said: who withdraws, where to answer, and why, if they want to tell (R70)."""

    name: str
    contact: str
    reason: str = ""


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """A declaration as it stands. `refund` and `kept` are in grosz; `approved_by` staff, where they entered it."""

    id: str
    order: str
    state: State
    channel: Channel
    received_at: datetime
    sent_on: date
    last_day: date
    refund: int
    kept: int
    entered_by: str | None


def terms_of(catalogue: Catalogue, secret: str) -> Terms:
    """The rules as the catalogue has them."""
    order = catalogue.order
    return Terms(days=order.withdrawal_days, policy=order.refund_policy, trial=catalogue.trial, secret=secret)


async def withdraw(
    session: AsyncSession, order: str, declared: Declared, terms: Terms, at: datetime, *, locale: str | None = None
) -> Withdrawal:
    """What the button "Potwierdź odstąpienie od umowy" does (R69, R71, R78): sent and received at `at`. Pressed again,
    it answers the same and does nothing."""
    return await _take_in(
        session, order, declared, terms, at, channel="online", sent_on=day_of(at), by=None, locale=locale
    )


async def enter_withdrawal(
    session: AsyncSession, order: str, terms: Terms, *, channel: Channel, sent_on: date, by: str, name: str,
    contact: str, at: datetime, reason: str = "",
) -> Withdrawal:  # fmt: skip
    """What staff do with a letter, a mail or a call: the day of sending counts (R72, R73). Raises Invalid where that
    day is before the order, or has not come."""
    row = await checkout.read_order(session, order)
    if not rules.is_in_the_past(sent_on, day_of(row.created_at), day_of(at)):
        fault = Fault("/sent_on", "not_a_day_of_sending", "It lies before the order, or in the future")
        raise Invalid("A withdrawal of this order cannot have been sent on that day.", faults=(fault,))
    declared = Declared(name=name, contact=contact, reason=reason)
    return await _take_in(session, order, declared, terms, at, channel=channel, sent_on=sent_on, by=by, locale=None)


async def find(session: AsyncSession, order: UUID) -> WithdrawalRow | None:
    """The order's declaration."""
    return await session.scalar(select(WithdrawalRow).where(WithdrawalRow.order_id == order))


async def of_order(session: AsyncSession, order: UUID) -> Withdrawal | None:
    """The order's declaration, without what is sealed."""
    row = await find(session, order)
    return None if row is None else await _told(session, row)


def declared(row: WithdrawalRow, secret: str) -> Declared | None:
    """What the person said, opened; None once it is forgotten."""
    if row.name is None or row.contact is None:
        return None
    texts = [
        unseal(secret, f"{withdrawal_id(row)}:{what}", sealed).decode() if sealed is not None else ""
        for what, sealed in (("name", row.name), ("contact", row.contact), ("reason", row.reason))
    ]
    return Declared(name=texts[0], contact=texts[1], reason=texts[2])


def withdrawal_id(row: WithdrawalRow) -> str:
    """The public id."""
    return public(PREFIX, row.id)


def last_day_of(order: Order, days: int) -> date:
    """Until when the order may be withdrawn from. The contract's day is that of the payment (R72)."""
    return rules.last_day(day_of(order.paid_at or order.created_at), days)


async def forget_buyer(session: AsyncSession, account: str) -> None:
    """Delete who declared and what they wrote; that and when the order was withdrawn from stays with it (R88)."""
    orders = [order.id for order in await checkout.orders_of(session, account)]
    gone = {"name": None, "contact": None, "reason": None}
    await session.execute(update(WithdrawalRow).where(WithdrawalRow.order_id.in_(orders)).values(gone))


async def _take_in(
    session: AsyncSession, order: str, told: Declared, terms: Terms, at: datetime, *, channel: Channel,
    sent_on: date, by: str | None, locale: str | None,
) -> Withdrawal:  # fmt: skip
    row = await checkout.lock_order(session, parse("ord", order))
    found = await find(session, row.id)
    last = last_day_of(row, terms.days)
    state = rules.judge(sent_on, last)
    before = None if found is None else cast("State", found.state)
    if found is not None and (before, state) not in rules.MOVES:
        return await _told(session, found)
    found = found or WithdrawalRow(id=new_id(at), order_id=row.id, kept=0)
    found.state = state if before is None else rules.move(before, state)
    found.channel, found.received_at, found.sent_on, found.last_day = channel, at, sent_on, last
    found.entered_by = by
    _seal(found, told, terms.secret)
    session.add(found)
    if state == "accepted":
        await _undo(session, row, found, told, terms, at)
    await session.flush()
    audit.record(
        session, at, "withdrawal.taken_in", withdrawal_id(found),
        actor=by or audit.SYSTEM, account=row.account, before=before, after=state, order=order, channel=channel,
    )  # fmt: skip
    kind = "withdrawal.received" if state == "accepted" else "withdrawal.late"
    facts = {"withdrawal": withdrawal_id(found), "order": order, "locale": locale or row.locale}
    outbox.put(session, kind, at, account=row.account, **facts)
    return await _told(session, found)


def _seal(row: WithdrawalRow, told: Declared, secret: str) -> None:
    name = withdrawal_id(row)
    row.name = seal(secret, f"{name}:name", told.name.encode())
    row.contact = seal(secret, f"{name}:contact", told.contact.encode())
    row.reason = seal(secret, f"{name}:reason", told.reason.encode()) if told.reason else None


async def _undo(
    session: AsyncSession, order: Order, row: WithdrawalRow, told: Declared, terms: Terms, at: datetime
) -> None:
    """End what the order gave, at this very instant and for everybody, and set the money aside to go back (R78)."""
    order.withdrawn_at = at
    if order.state == "incomplete":
        checkout.close(session, order, "expired", at)
    held = await subscriptions.of_order(session, checkout.order_id(order), lock=True)
    rests = await disputed_money.rests(session, checkout.order_id(order), lock=True)
    left = [(payment, max(rest, 0)) for payment, rest in rests]
    money = sum(rest for _, rest in left)
    settled = rules.settle(
        _sold(order, [right for right in held if right.state not in _UNDONE], money), money, row.sent_on,
        policy=terms.policy, was_wished=order.start_now, was_told=order.informed_at is not None,
    )  # fmt: skip
    row.kept = settled.kept
    await apply_effect(session, "withdrawal", checkout.order_id(order), at)
    await trials.reopen(session, [right.pupil for right in held], terms.trial, at)
    is_told = await _is_buyers(session, order, told.contact)
    due = settled.refund
    for payment, rest in left:
        amount = min(due, rest)
        if amount:
            refund = await give_back(
                session, order, payment, amount, "withdrawal", at,
                approved_by=row.entered_by or audit.SYSTEM, ended_on=day_of(at), is_told_otherwise=is_told,
            )  # fmt: skip
            row.refund_id, due = refund.id, due - amount


def _sold(order: Order, held: Collection[Subscription], money: int) -> list[Right]:
    """What the order gave, at its price. Rights that renew were charged for more than once, and not always that price:
    theirs is the money that is left."""
    rights = [
        Right(price=order.unit_gross, first=day_of(right.since), last=last_day_before(right.until)) for right in held
    ]
    return rules.sharing(money, rights) if any(right.kind == "renewing" for right in held) else rights


async def _is_buyers(session: AsyncSession, order: Order, contact: str) -> bool:
    """Whether the acknowledgement goes to the buyer's own address, as it does where no other was given; else the buyer
    is told of the refund apart: whoever holds the link of an order may withdraw from it."""
    if order.account is None or not is_address(contact):
        return True
    person = (await find_accounts(session, (order.account,))).get(order.account)
    return person is not None and person.address.casefold() == contact.casefold()


async def _told(session: AsyncSession, row: WithdrawalRow) -> Withdrawal:
    order = public("ord", row.order_id)
    return Withdrawal(
        id=withdrawal_id(row),
        order=order,
        state=cast("State", row.state),
        channel=cast("Channel", row.channel),
        received_at=row.received_at,
        sent_on=row.sent_on,
        last_day=row.last_day,
        refund=await _given_back(session, row, order),
        kept=row.kept,
        entered_by=row.entered_by,
    )


async def _given_back(session: AsyncSession, row: WithdrawalRow, order: str) -> int:
    """What went back with the declaration, of all payments. Money that came after it is told of apart."""
    found = await refunds.refunds_of(session, order) if row.refund_id is not None else ()
    return sum(each.amount for each in found if (each.reason, each.created_at) == ("withdrawal", row.received_at))
