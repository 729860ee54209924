"""What happened, newest first: money, rights, letters, the provider's events and acts, each with its instant."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from billing.activation.tables import ActivationLinkRow
from billing.checkout.tables import OrderRow
from billing.finance.queries.sql import EVENT
from billing.kernel.audit import AuditRow
from billing.kernel.ids import public
from billing.ledger.tables import LedgerLineRow
from billing.notices.tables import LetterRow
from billing.payments.tables import PaymentRow, RefundRow
from billing.subscriptions.tables import SubscriptionRow
from billing.trials.tables import TrialRow
from entitlements.tables import GrantRow

Room = Literal["money", "rights", "letters", "stripe", "acts"]
MOST: Final = 300
VIEWED: Final = "finance.viewed"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `what` and `codes` are words of `words_codes`, or stand for themselves; amounts are
    grosz, negative when money leaves us."""

    at: datetime
    room: Room
    what: str
    subject: str
    state: str | None = None
    codes: tuple[str, ...] = ()
    amount: int | None = None
    href: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Whose history: an account with its pupils, or one order (then `account` and `pupils` are empty)."""

    account: str | None = None
    pupils: tuple[str, ...] = ()
    orders: tuple[OrderRow, ...] = ()

    @property
    def order_ids(self) -> tuple[str, ...]:
        """The public ids of the orders."""
        return tuple(public("ord", order.id) for order in self.orders)


async def timeline(session: AsyncSession, scope: Scope) -> list[Entry]:
    """Everything of that scope, newest first; of each kind the newest `MOST`."""
    entries = [entry for order in scope.orders for entry in _order(order)]
    entries += await _payments(session, scope)
    entries += await _refunds(session, scope)
    entries += await _books(session, scope)
    passes = await _passes(session, scope)
    trials = await _trials(session, scope)
    entries += [_pass(row) for row in passes] + [entry for row in trials for entry in _trial(row)]
    entries += await _grants(session, scope)
    entries += await _letters(session, scope)
    entries += await _links(session, scope)
    entries += await _events(session, scope)
    ours = [public("sub", row.id) for row in passes] + [public("trl", row.id) for row in trials]
    entries += await _acts(session, scope, ours)
    return sorted(entries, key=lambda entry: entry.at)[::-1]


def _order(row: OrderRow) -> Iterable[Entry]:
    name = public("ord", row.id)
    href = f"/finance/orders/{name}"
    codes = (str(row.number), row.product_name)
    common: dict[str, Any] = {"room": "money", "subject": name, "codes": codes, "href": href, "amount": row.total}
    yield Entry(at=row.created_at, what="order_made", state=row.state, **common)
    if row.paid_at is not None:
        yield Entry(at=row.paid_at, what="order_paid", **common)


async def _payments(session: AsyncSession, scope: Scope) -> list[Entry]:
    rows = await session.scalars(select(PaymentRow).where(PaymentRow.order_id.in_(scope.order_ids)))
    return [
        Entry(at=row.captured_at, room="money", what="payment", subject=row.order_id, amount=row.amount,
              codes=(row.method, row.stripe_payment_intent), href=f"/finance/orders/{row.order_id}")
        for row in rows
    ]  # fmt: skip


async def _refunds(session: AsyncSession, scope: Scope) -> list[Entry]:
    rows = await session.scalars(select(RefundRow).where(RefundRow.order_id.in_(scope.order_ids)))
    return [
        Entry(at=row.settled_at or row.created_at, room="money", what="refund", subject=public("ref", row.id),
              state=row.state, codes=(row.reason, row.approved_by), amount=-row.amount,
              href=f"/finance/orders/{row.order_id}")
        for row in rows
    ]  # fmt: skip


async def _books(session: AsyncSession, scope: Scope) -> list[Entry]:
    """One entry for each side of each posting; together they come to zero."""
    query = select(LedgerLineRow).where(LedgerLineRow.order_id.in_(scope.order_ids)).order_by(LedgerLineRow.id)
    return [
        Entry(at=row.at, room="money", what="booked", subject=row.order_id or "", codes=(row.account, row.cause),
              amount=row.amount, href=f"/finance/orders/{row.order_id}#ledger")
        for row in await session.scalars(query)
    ]  # fmt: skip


async def _passes(session: AsyncSession, scope: Scope) -> list[SubscriptionRow]:
    row = SubscriptionRow
    hit = or_(_of(row.account, scope), row.pupil.in_(scope.pupils), row.order_id.in_(scope.order_ids))
    return list(await session.scalars(select(row).where(hit).order_by(row.id.desc()).limit(MOST)))


def _pass(row: SubscriptionRow) -> Entry:
    return Entry(
        at=row.created_at,
        room="rights",
        what="pass_begun",
        subject=public("sub", row.id),
        state=row.state,
        codes=(row.pupil, row.product),
        since=row.since,
        until=row.until,
        href=f"/finance/orders/{row.order_id}" if row.order_id else None,
    )


async def _trials(session: AsyncSession, scope: Scope) -> list[TrialRow]:
    query = select(TrialRow).where(TrialRow.pupil.in_(scope.pupils)).order_by(TrialRow.id.desc()).limit(MOST)
    return list(await session.scalars(query))


def _trial(row: TrialRow) -> Iterable[Entry]:
    common: dict[str, Any] = {"room": "rights", "subject": public("trl", row.id), "codes": (row.pupil or "",)}
    yield Entry(at=row.starts_at, what="trial_started", since=row.starts_at, until=row.ends_at, **common)
    if row.bound_at is not None:
        yield Entry(at=row.bound_at, what="trial_bound", state=row.bound_reason, until=row.ends_at, **common)
    if row.converted_at is not None:
        yield Entry(at=row.converted_at, what="trial_converted", **common)
    if row.staff_since is not None:
        yield Entry(at=row.staff_since, what="trial_to_staff", **common)
    if row.ended_at is not None:
        yield Entry(at=row.ended_at, what="trial_ended", **common)


async def _grants(session: AsyncSession, scope: Scope) -> list[Entry]:
    query = select(GrantRow).where(GrantRow.pupil.in_(scope.pupils)).order_by(GrantRow.id.desc()).limit(MOST)
    return [
        Entry(at=row.created_at, room="rights", what="grant", subject=row.origin, state=row.end_reason or row.source,
              codes=(row.pupil, ", ".join(row.features)), since=row.since, until=row.until)
        for row in await session.scalars(query)
    ]  # fmt: skip


async def _letters(session: AsyncSession, scope: Scope) -> list[Entry]:
    """The account's letters; of an order, those that name it."""
    hit = _of(LetterRow.account, scope)
    if scope.account is None:
        names = or_(LetterRow.about.in_(scope.order_ids), LetterRow.facts["order"].astext.in_(scope.order_ids))
        hit = and_(LetterRow.account.in_([order.account for order in scope.orders if order.account]), names)
    query = select(LetterRow).where(hit).order_by(LetterRow.id.desc()).limit(MOST)
    return [
        Entry(at=row.handed_over_at or row.created_at, room="letters", what="letter",
              subject=public("ntc", row.id), state=row.state, codes=_present(row.kind, row.subject or row.fault),
              href=f"/finance/letters/{public('ntc', row.id)}")
        for row in await session.scalars(query)
    ]  # fmt: skip


async def _links(session: AsyncSession, scope: Scope) -> list[Entry]:
    row = ActivationLinkRow
    query = select(row).where(_of(row.account, scope)).order_by(row.id.desc()).limit(MOST)
    return [
        Entry(at=row.issued_at, room="letters", what="link_issued", subject=public("lnk", row.id),
              codes=tuple(row.pupils), until=row.expires_at)
        for row in await session.scalars(query)
    ]  # fmt: skip


async def _events(session: AsyncSession, scope: Scope) -> list[Entry]:
    """The provider's events about these orders' payment pages, payments and refunds."""
    payments = select(PaymentRow.stripe_payment_intent, PaymentRow.stripe_charge).where(
        PaymentRow.order_id.in_(scope.order_ids)
    )
    refunds = select(RefundRow.stripe_refund).where(RefundRow.order_id.in_(scope.order_ids))
    objects = {order.session_id for order in scope.orders}
    objects |= {each for row in await session.execute(payments) for each in row}
    objects |= set(await session.scalars(refunds))
    known = [each for each in objects if each]
    query = select(EVENT).where(EVENT.c.object_id.in_(known)).order_by(EVENT.c.received_at.desc()).limit(MOST)
    return [
        Entry(at=row.received_at, room="stripe", what="stripe_event", subject=row.id, state=row.state,
              codes=_present(row.type, row.note), href=f"/finance/events?q={row.id}")
        for row in (await session.execute(query) if known else ())
    ]  # fmt: skip


async def _acts(session: AsyncSession, scope: Scope, ours: list[str]) -> list[Entry]:
    """Acts of staff and of the service itself; that somebody looked stands in the audit log only."""
    row = AuditRow
    subjects = [*scope.order_ids, *ours]
    hit = or_(_of(row.account, scope), row.subject.in_(subjects))
    query = select(row).where(hit, row.action != VIEWED).order_by(row.at.desc(), row.id.desc()).limit(MOST)
    return [
        Entry(at=row.at, room="acts", what="act", subject=row.subject, codes=_told(row))
        for row in await session.scalars(query)
    ]


def _of(account: InstrumentedAttribute[str | None] | InstrumentedAttribute[str], scope: Scope) -> ColumnElement[bool]:
    """Whether a row is the account's; no row is when there is none."""
    return false() if scope.account is None else account == scope.account


def _told(row: AuditRow) -> tuple[str, ...]:
    """An act: what, by whom, from which state to which, why."""
    moved = " → ".join(_present(row.before, row.after))
    return _present(row.action, row.actor, moved, row.reason)


def _present(*parts: str | None) -> tuple[str, ...]:
    return tuple(part for part in parts if part)
