"""Selling and giving back in a house, and reading what its books say."""

from datetime import date
from typing import Any

from billing.kernel.ids import public
from billing.ledger import service as ledger
from billing.ledger.proof import BROKEN_ORDERS
from billing.payments import refunds
from billing.payments.rules import Reason, Refund
from tests.services.house import House


async def payment_of(house: House, account: str) -> Any:
    """The last payment of somebody's orders."""
    orders = [public("ord", key) for (key,) in await house.rows(
        "select id from orders where account = :account", account=account
    )]  # fmt: skip
    query = """select id, order_id, stripe_payment_intent as intent, amount from payment
        where order_id = any(:orders) order by captured_at desc limit 1"""
    (row,) = await house.rows(query, orders=orders)
    return row


async def give_back(
    house: House,
    account: str,
    amount: int,
    *,
    reason: Reason = "goodwill",
    scope: str = "",
    ended_on: date | None = None,
) -> Refund:
    """Decide a refund, as the rooms above do: set aside, and booked."""
    payment = await payment_of(house, account)
    async with house.database.begin() as session:
        refund, is_new = await refunds.reserve_refund(
            session, payment.id, amount, reason, "finance", house.now, scope=scope
        )
        assert is_new
        await ledger.book_refund_owed(session, payment.intent, refund.public_id, amount, house.now, ended_on=ended_on)
    return refund


async def balances(house: House, *, until: date | None = None) -> dict[str, int]:
    """Every account that is not even, at the end of a day or now."""
    query = """select account, sum(amount)::bigint from ledger_line where booked_on <= :until
        group by account having sum(amount) <> 0"""
    return dict(tuple(row) for row in await house.rows(query, until=until or date.max))


async def proven(house: House) -> None:
    """R113, at this instant."""
    assert await house.rows(BROKEN_ORDERS) == []
