"""What the books say of a period: service that is paid and not yet rendered, by day and by month (R114)."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter

import msgspec
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.ledger.service import service_of
from billing.ledger.spreading import Service, days_between, earned_by
from billing.ledger.tables import LedgerLineRow, LedgerSaleRow

_ONE_DAY = timedelta(days=1)
_NET = ("deferred_revenue", "revenue")


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """One day or month, net, in grosz: what was sold ahead, undone by refunds, earned, and what is still owed as
    service at the end of `last`: what it was before, and sold − undone − earned."""

    first: date
    last: date
    sold: int
    undone: int
    earned: int
    deferred: int


class Change(msgspec.Struct, frozen=True):
    """On a day, the net price of a sale grew (it was sold) or shrank (it was given back)."""

    on: date
    amount: int


class _Day:
    def __init__(self) -> None:
        self.sold = self.undone = self.earned = 0


async def deferred(session: AsyncSession, first: date, last: date) -> list[Deferred]:
    """Day by day, both included, as the facts of each day had it; a later refund changes no earlier day."""
    days: dict[date, _Day] = defaultdict(_Day)
    open_before = 0
    for service, changes in await _sales(session, last):
        open_before += _owed(service, changes, first - _ONE_DAY)
        _enter(days, service, changes, first, last)
    found: list[Deferred] = []
    for on in days_between(first, last):
        day = days[on]
        open_before += day.sold - day.undone - day.earned
        entry = Deferred(first=on, last=on, sold=day.sold, undone=day.undone, earned=day.earned, deferred=open_before)
        found.append(entry)
    return found


def by_month(days: Iterable[Deferred]) -> list[Deferred]:
    """The same, a line for each month."""
    months = [list(month) for _, month in groupby(days, key=lambda day: (day.first.year, day.first.month))]
    return [
        Deferred(
            first=month[0].first,
            last=month[-1].last,
            sold=sum(day.sold for day in month),
            undone=sum(day.undone for day in month),
            earned=sum(day.earned for day in month),
            deferred=month[-1].deferred,
        )
        for month in months
    ]


async def _sales(session: AsyncSession, last: date) -> list[tuple[Service, list[Change]]]:
    """Each sale with what changed its price until a day, in order."""
    query = (
        select(
            LedgerSaleRow,
            LedgerLineRow.booked_on,
            (-func.sum(LedgerLineRow.amount)).label("amount"),
        )
        .join(LedgerLineRow, LedgerLineRow.sale == LedgerSaleRow.payment)
        .where(LedgerLineRow.account.in_(_NET), LedgerLineRow.booked_on <= last)
        .group_by(LedgerSaleRow.payment, LedgerLineRow.transaction_id, LedgerLineRow.booked_on)
        .having(func.sum(LedgerLineRow.amount) != 0)  # closing a month moves money between the two, and changes nothing
        .order_by(LedgerSaleRow.payment, LedgerLineRow.booked_on)
    )
    rows = groupby(await session.execute(query), key=attrgetter("LedgerSaleRow"))
    return [(service_of(sale), [Change(row.booked_on, int(row.amount)) for row in some]) for sale, some in rows]


def _enter(days: dict[date, _Day], service: Service, changes: list[Change], first: date, last: date) -> None:
    for change in changes:
        if first <= change.on:
            days[change.on].sold += max(change.amount, 0)
            days[change.on].undone += max(-change.amount, 0)
    if service.is_over(first - _ONE_DAY) and changes[-1].on < first:
        return
    before = earned_by(_net(changes, first - _ONE_DAY), service, first - _ONE_DAY)
    for on in days_between(first, last):
        by_now = earned_by(_net(changes, on), service, on)
        days[on].earned += by_now - before
        before = by_now


def _net(changes: list[Change], on: date) -> int:
    return sum(change.amount for change in changes if change.on <= on)


def _owed(service: Service, changes: list[Change], on: date) -> int:
    net = _net(changes, on)
    return net - earned_by(net, service, on)


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """What one fact sold or took back of a sale on a day, in grosz; a refund's are negative."""

    sale: LedgerSaleRow
    cause: str
    on: date
    net: int
    vat: int


async def sold_in(session: AsyncSession, first: date, last: date) -> list[Movement]:
    """Every sale and every refund booked from the first to the last day, in order (R104)."""
    account, amount = LedgerLineRow.account, LedgerLineRow.amount
    net = -func.sum(case((account.in_(_NET), amount), else_=0))
    vat = -func.sum(case((account == "vat_output", amount), else_=0))
    query = (
        select(LedgerSaleRow, LedgerLineRow.cause, LedgerLineRow.booked_on, net.label("net"), vat.label("vat"))
        .join(LedgerLineRow, LedgerLineRow.sale == LedgerSaleRow.payment)
        .where(LedgerLineRow.booked_on.between(first, last))
        .group_by(LedgerSaleRow.payment, LedgerLineRow.transaction_id, LedgerLineRow.cause, LedgerLineRow.booked_on)
        .having((net != 0) | (vat != 0))  # closing a month sells nothing
        .order_by(LedgerLineRow.booked_on, LedgerLineRow.cause)
    )
    return [
        Movement(sale=sale, cause=cause, on=on, net=int(of_net), vat=int(of_vat))
        for sale, cause, on, of_net, of_vat in await session.execute(query)
    ]
