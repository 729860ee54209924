"""What the books say of a period: service that is paid and not yet rendered, by day and by month (R114)."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import msgspec
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.ledger.rules import CLOSING
from billing.ledger.spreading import Service, days_between, earned_by, first_of_next_month
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


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """On a day, the net price of so many sales of the same service went from one sum to another: they were sold, or
    something of them was given back."""

    on: date
    service: Service
    before: int
    after: int
    sales: int


class _Standing:
    """Sales as they stand at the end of a day: how many of each service have which net price. Alike ones are counted
    together, for each is rounded alone and alike ones are rounded alike."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._coming = deque(sorted(changes, key=lambda change: change.on))
        self._sales: Counter[tuple[Service, int]] = Counter()

    def go_to(self, on: date) -> tuple[int, int]:
        """Take on what happened until the end of a day; answers what was sold and what was undone meanwhile."""
        sold = undone = 0
        while self._coming and self._coming[0].on <= on:
            change = self._coming.popleft()
            self._sales[change.service, change.before] -= change.sales
            self._sales[change.service, change.after] += change.sales
            sold += change.sales * max(change.after - change.before, 0)
            undone += change.sales * max(change.before - change.after, 0)
        self._sales = Counter({held: sales for held, sales in self._sales.items() if sales and held[1]})
        return sold, undone

    def earned(self, on: date) -> int:
        """What all of them together have earned by the end of the day they stand at."""
        return sum(sales * earned_by(net, service, on) for (service, net), sales in self._sales.items())


async def deferred(session: AsyncSession, first: date, last: date) -> list[Deferred]:
    """Day by day, both included, as the facts of each day had it; a later refund changes no earlier day."""
    return _told(await _changes(session, last), [(on, on) for on in days_between(first, last)])


async def by_month(session: AsyncSession, first: date, last: date) -> list[Deferred]:
    """The same, a line for each month."""
    return _told(await _changes(session, last), list(_months(first, last)))


def _months(first: date, last: date) -> Iterator[tuple[date, date]]:
    while first <= last:
        following = first_of_next_month(first)
        yield first, min(following - _ONE_DAY, last)
        first = following


def _told(changes: list[Change], periods: list[tuple[date, date]]) -> list[Deferred]:
    """What changes made of periods that follow each other. Only their ends are looked at."""
    standing = _Standing(changes)
    day_before = periods[0][0] - _ONE_DAY
    sold, undone = standing.go_to(day_before)
    by_then = standing.earned(day_before)
    owed = sold - undone - by_then
    found: list[Deferred] = []
    for first, last in periods:
        sold, undone = standing.go_to(last)
        by_now = standing.earned(last)
        earned, by_then = by_now - by_then, by_now
        owed += sold - undone - earned
        found.append(Deferred(first=first, last=last, sold=sold, undone=undone, earned=earned, deferred=owed))
    return found


async def _changes(session: AsyncSession, last: date) -> list[Change]:
    """What changed the price of sales until a day; alike changes of alike sales are one row."""
    line, amount = LedgerLineRow, -func.sum(LedgerLineRow.amount)
    facts = (
        select(line.sale, line.transaction_id, line.booked_on, amount.label("amount"))
        .where(line.account.in_(_NET), line.booked_on <= last)
        .where(~line.cause.startswith(CLOSING))  # moves money between the two, and changes nothing
        .group_by(line.sale, line.transaction_id, line.booked_on)
        .having(amount != 0)
        .subquery()
    )
    after = func.sum(facts.c.amount).over(
        partition_by=facts.c.sale, order_by=(facts.c.booked_on, facts.c.transaction_id)
    )
    steps = select(facts.c.sale, facts.c.booked_on, facts.c.amount, after.label("after")).subquery()
    sale = LedgerSaleRow
    alike = (steps.c.booked_on, sale.first_day, sale.last_day, sale.ended_on, steps.c.amount, steps.c.after)
    query = select(*alike, func.count()).join(sale, sale.payment == steps.c.sale).group_by(*alike)
    return [
        Change(
            on=on,
            service=Service(first_day=first_day, last_day=last_day, ended_on=ended_on),
            before=int(now - by),
            after=int(now),
            sales=sales,
        )
        for on, first_day, last_day, ended_on, by, now, sales in await session.execute(query)
    ]


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """What one fact sold of a sale on a day, or took back of it (then negative), in grosz; `payment` names the sale."""

    payment: str
    order: str
    rate_percent: int
    cause: str
    on: date
    net: int
    vat: int


async def sold_in(session: AsyncSession, first: date, last: date) -> list[Movement]:
    """Every sale and every refund booked from the first to the last day, in order (R104)."""
    account, amount = LedgerLineRow.account, LedgerLineRow.amount
    net = -func.sum(case((account.in_(_NET), amount), else_=0))
    vat = -func.sum(case((account == "vat_output", amount), else_=0))
    sale = (LedgerSaleRow.payment, LedgerSaleRow.order_id, LedgerSaleRow.vat_rate_percent)
    query = (
        select(*sale, LedgerLineRow.cause, LedgerLineRow.booked_on, net.label("net"), vat.label("vat"))
        .join(LedgerLineRow, LedgerLineRow.sale == LedgerSaleRow.payment)
        .where(LedgerLineRow.booked_on.between(first, last))
        .group_by(LedgerSaleRow.payment, LedgerLineRow.transaction_id, LedgerLineRow.cause, LedgerLineRow.booked_on)
        .having((net != 0) | (vat != 0))  # closing a month sells nothing
        .order_by(LedgerLineRow.booked_on, LedgerLineRow.cause)
    )
    return [
        Movement(payment=payment, order=order, rate_percent=rate, cause=cause, on=on, net=int(of_net), vat=int(of_vat))
        for payment, order, rate, cause, on, of_net, of_vat in await session.execute(query)
    ]
