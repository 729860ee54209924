"""For every closed day: captured less refunded less disputed in our books is what the provider's account says (I10).

Some facts reach us on a later day than they happened there: a refund that a bank took two days over. So each order is
set against itself over all its days; what differs then is a difference, the rest is a matter of days.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.kernel.among import among
from billing.kernel.days import day_of
from billing.ledger import history as ledger
from billing.payments import history as payments
from billing.payments.rules import UNSETTLED
from billing.payments.values import KnownRefund
from billing.reconciliation import runs, service
from billing.reconciliation.payout_rules import NAMED
from billing.reconciliation.tables import BalanceLineRow
from billing.reconciliation.values import Finding

Sums = Mapping[tuple[str, date], int]


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One Warsaw day, in grosz: there less here is what another day has, and what differs."""

    on: date
    there: int
    here: int
    other_day: int
    difference: int


class Reflection(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides by order and day, and by how much each order differs over all its days."""

    there: Sums
    here: Sums
    orders: frozenset[str]
    differing: Mapping[str, int]


async def reflect(session: AsyncSession, since: date, until: datetime) -> Reflection:
    """Both sides of every order whose money moved on or after a day, up to when the provider's account was read."""
    orders = await _orders(session, since, until)
    there = {(order, on): amount for order, on, amount in await _told_by_day(session, orders, until)}
    here = {(order, on): amount for order, on, amount in await ledger.moved_by_day(session, orders, until)}
    waiting = _under_way(await payments.refunds_of_orders(session, orders), until)
    theirs, ours = _totals(there), _totals(here)
    raw = {order: theirs[order] - ours[order] for order in orders}
    differing = {order: amount for order, amount in raw.items() if not -waiting[order] <= amount <= 0}
    return Reflection(there=there, here=here, orders=frozenset(orders), differing=differing)


async def days(session: AsyncSession, first: date, last: date) -> list[Day]:
    """The report of some closed days; empty before the provider's account was ever read."""
    good = await runs.last_good(session, "nightly")
    if good is None:
        return []
    found = await reflect(session, first, good.until)
    report: list[Day] = []
    for number in range((min(last, day_of(good.until) - timedelta(days=1)) - first).days + 1):
        on = first + timedelta(days=number)
        there, here = _on(found.there, on, found.orders), _on(found.here, on, found.orders)
        wrong = _on(found.there, on, found.differing) - _on(found.here, on, found.differing)
        report.append(Day(on=on, there=there, here=here, other_day=there - here - wrong, difference=wrong))
    return report


async def judge(session: AsyncSession, since: date, at: datetime) -> int:
    """One case for each order that differs and is nobody's case yet; those that agree again close. Answers how many are
    new."""
    found = await reflect(session, since, at)
    ours = _totals(found.here)
    opened, still = 0, set[str]()
    for order, difference in sorted(found.differing.items()):
        here = ours[order]
        finding = Finding(
            kind="books_differ", cause="not_booked", severity="high", proposal="look", subject=order, order=order,
            here=here, there=here + difference, at=at,
        )  # fmt: skip
        still.add(finding.about)
        waits = any(case.state != "closed" for case in await cases.cases_of(session, order))
        if not waits and not await service.explained(session, [finding]):
            opened += await service.open_finding(session, finding, at)
    await service.close_gone(session, found.orders, still, at)
    return opened


async def _orders(session: AsyncSession, since: date, until: datetime) -> set[str]:
    """Whose money moved on either side, and began to move when the provider's account was already being read."""
    query = select(BalanceLineRow.order_id).where(
        BalanceLineRow.booked_on >= since, BalanceLineRow.order_id.is_not(None), BalanceLineRow.kind.in_(sorted(NAMED))
    )
    found = {order for order in await session.scalars(query.distinct()) if order is not None}
    found |= await ledger.orders_booked(session, since, until)
    began = await runs.read_since(session)
    if began is None:
        return set()
    first: dict[str, datetime] = {}
    for paid in await payments.payments_of_orders(session, found):
        first[paid.order] = min(paid.captured_at, first.get(paid.order, paid.captured_at))
    return {order for order in found if first.get(order, began) >= began}


async def _told_by_day(session: AsyncSession, orders: Collection[str], until: datetime) -> list[tuple[str, date, int]]:
    if not orders:
        return []
    query = (
        select(BalanceLineRow.order_id, BalanceLineRow.booked_on, func.sum(BalanceLineRow.amount))
        .where(
            among(BalanceLineRow.order_id, orders),
            BalanceLineRow.kind.in_(sorted(NAMED)),
            BalanceLineRow.created_at <= until,
        )
        .group_by(BalanceLineRow.order_id, BalanceLineRow.booked_on)
    )
    return [(str(order), on, int(amount)) for order, on, amount in await session.execute(query)]


def _under_way(refunds: Iterable[KnownRefund], until: datetime) -> Mapping[str, int]:
    """What may have left the provider's account while nobody here calls it gone: refunds a bank has not confirmed."""
    found: defaultdict[str, int] = defaultdict(int)
    for refund in refunds:
        if refund.state in UNSETTLED or refund.settled_at is None or refund.settled_at > until:
            found[refund.order] += refund.amount
    return found


def _totals(sums: Sums) -> Mapping[str, int]:
    """Each order's sum over all its days."""
    found: defaultdict[str, int] = defaultdict(int)
    for (order, _), amount in sums.items():
        found[order] += amount
    return found


def _on(sums: Sums, on: date, orders: Collection[str]) -> int:
    return sum(amount for (name, day), amount in sums.items() if day == on and name in orders)
