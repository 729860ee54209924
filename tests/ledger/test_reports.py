"""What is told of many sales is what a reading of each alone would tell, and costs what different ones do (R114)."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.ledger import closing, reports
from billing.ledger import service as ledger
from billing.ledger.reports import Deferred
from billing.ledger.service import Sale
from billing.ledger.spreading import days_between, earned_by
from billing.ledger.tables import LedgerLineRow, LedgerSaleRow

DAY = timedelta(days=1)
BEGIN = date(2026, 11, 28)
SOLD = Sale(
    payment="pi_0", order="ord_0", gross=4499, unit_gross=4499, vat_rate_percent=23, vat_method="per_document",
    first_day=BEGIN, last_day=date(2027, 6, 30),
)  # fmt: skip


class Refund(msgspec.Struct, frozen=True):
    """So many days after the sale, so much of a hundredth is given back; it may end the service, or be waived."""

    after: int
    hundredths: int
    ends_after: int | None
    waived_after: int | None


class Sold(msgspec.Struct, frozen=True):
    """One sale: days are counted from the first of the story."""

    gross: int
    on: int
    begins: int
    days: int
    refunds: tuple[Refund, ...]


refunds = st.builds(
    Refund,
    st.sampled_from((0, 1, 14, 40)),
    st.sampled_from((1, 33, 50)),
    st.sampled_from((None, None, 0, 3, 90)),
    st.sampled_from((None, None, 0, 20)),
)
sales = st.builds(
    Sold,
    st.sampled_from((1, 4499, 8998)),
    st.sampled_from((0, 1, 30)),
    st.sampled_from((0, 5, 45)),
    st.sampled_from((1, 31, 75)),
    st.lists(refunds, max_size=2).map(tuple),
)


def at(day: int) -> datetime:
    return datetime.combine(BEGIN + day * DAY, time(9), UTC)


async def build(session: AsyncSession, told: list[Sold]) -> None:
    """Book it all in the order of time, with every month closed as it ends."""
    acts: list[tuple[int, Any]] = []
    for number, sold in enumerate(told):
        payment, end = f"pi_{number}", BEGIN + (sold.begins + sold.days - 1) * DAY
        sale = msgspec.structs.replace(
            SOLD, payment=payment, gross=sold.gross, unit_gross=sold.gross,
            first_day=BEGIN + sold.begins * DAY, last_day=end,
        )  # fmt: skip
        acts.append((sold.on, lambda sale=sale, on=sold.on: ledger.book_sale(session, sale, at(on))))
        for which, refund in enumerate(sold.refunds):
            acts += undoing(session, sold, refund, payment, f"ref_{number}_{which}")
    for day, act in [*sorted(acts, key=lambda dated: dated[0]), (200, None)]:
        while await closing.close_due(session, at(day), 200):
            pass
        if act is not None:
            await act()


def undoing(session: AsyncSession, sold: Sold, refund: Refund, payment: str, name: str) -> list[tuple[int, Any]]:
    amount, on = sold.gross * refund.hundredths // 100, sold.on + refund.after
    if not amount:
        return []
    ended = None if refund.ends_after is None else BEGIN + (on + refund.ends_after) * DAY
    owed = (on, lambda: ledger.book_refund_owed(session, payment, name, amount, at(on), ended_on=ended))
    if refund.waived_after is None:
        return [owed]
    waived = on + refund.waived_after
    return [owed, (waived, lambda: ledger.book_refund_waived(session, name, at(waived)))]


async def sale_by_sale(session: AsyncSession, first: date, last: date) -> list[Deferred]:
    """The same report by its definition: each sale alone, each day anew."""
    days: dict[date, Counter[str]] = {on: Counter() for on in days_between(first, last)}
    for sale in list(await session.scalars(select(LedgerSaleRow))):
        facts: Counter[tuple[str, date]] = Counter()
        for line in await session.scalars(select(LedgerLineRow).where(LedgerLineRow.sale == sale.payment)):
            if line.account in {"deferred_revenue", "revenue"}:
                facts[line.cause, line.booked_on] -= line.amount
        for on, day in days.items():
            nets = [sum(amount for (_, then), amount in facts.items() if then <= until) for until in (on - DAY, on)]
            service = ledger.service_of(sale)
            earned = earned_by(nets[1], service, on)
            day["sold"] += sum(max(amount, 0) for (_, then), amount in facts.items() if then == on)
            day["undone"] += sum(max(-amount, 0) for (_, then), amount in facts.items() if then == on)
            day["earned"] += earned - earned_by(nets[0], service, on - DAY)
            day["deferred"] += nets[1] - earned
    fields = ("sold", "undone", "earned", "deferred")
    return [Deferred(first=on, last=on, **{field: day[field] for field in fields}) for on, day in days.items()]


def months_of(days: list[Deferred]) -> list[Deferred]:
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


@settings(
    max_examples=60,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=st.lists(sales, max_size=6), begins=st.integers(-3, 60), lasts=st.integers(0, 70))
async def test_r114_alike_sales_counted_together_are_each_sale_alone_to_the_grosz(
    database: Database, told: list[Sold], begins: int, lasts: int
) -> None:
    first = BEGIN + begins * DAY
    last = first + lasts * DAY
    async with database.begin() as session:
        taken_back = await session.begin_nested()
        await build(session, told)
        days = await sale_by_sale(session, first, last)
        assert await reports.deferred(session, first, last) == days
        assert await reports.by_month(session, first, last) == months_of(days)
        await taken_back.rollback()


async def cost(database: Database, first: date, last: date) -> tuple[list[int], int]:
    """How many rows each statement of the report hands over, and what was sold by its end."""
    handed: list[int] = []

    def listen(_link: Any, cursor: Any, *_rest: Any) -> None:
        handed.append(cursor.rowcount)

    event.listen(database.engine.sync_engine, "after_cursor_execute", listen)
    async with database.begin() as session:
        months = await reports.by_month(session, first, last)
    event.remove(database.engine.sync_engine, "after_cursor_execute", listen)
    return handed, sum(month.sold for month in months)


async def test_r114_many_equal_sales_cost_as_many_statements_and_rows_as_one(database: Database) -> None:
    """A third of them is given back, all on the same day: that is one more row, however many they are."""
    season = BEGIN, SOLD.last_day
    costs: list[list[int]] = []
    for numbers in (range(3), range(3, 90)):
        async with database.begin() as session:
            for number in numbers:
                await ledger.book_sale(session, msgspec.structs.replace(SOLD, payment=f"pi_{number}"), at(0))
                if number % 3 == 0:
                    await ledger.book_refund_owed(session, f"pi_{number}", f"ref_{number}", 1000, at(20))
        handed, sold = await cost(database, *season)
        assert sold == 3658 * (numbers[-1] + 1)
        costs.append(handed)
    assert costs == [[2], [2]]
