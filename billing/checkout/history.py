"""Many orders at once, as far as money is concerned: for whoever compares us with the provider."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Uuid, and_, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from billing.checkout.tables import OrderRow
from billing.checkout.values import KnownOrder
from billing.kernel.errors import NotFound
from billing.kernel.ids import parse, public


async def orders_known(session: AsyncSession, orders: Collection[str]) -> list[KnownOrder]:
    """The orders with these public ids; what is no id of an order is left out."""
    if not orders:
        return []
    keys = [key for key in map(_key, sorted(set(orders))) if key is not None]
    return await _orders(session, OrderRow.id == any_(literal(keys, ARRAY(Uuid()))))


async def orders_waiting(session: AsyncSession, before: datetime) -> list[KnownOrder]:
    """Orders made before an instant that still wait for a bank, or whose page we hold for open."""
    waits = or_(OrderRow.state == "pending", and_(OrderRow.state == "incomplete", OrderRow.session_url.is_not(None)))
    return await _orders(session, OrderRow.created_at < before, OrderRow.session_id.is_not(None), waits)


async def orders_of_account(session: AsyncSession, account: str) -> list[KnownOrder]:
    """The account's orders."""
    return await _orders(session, OrderRow.account == account)


async def _orders(session: AsyncSession, *wanted: ColumnElement[bool]) -> list[KnownOrder]:
    query = select(
        OrderRow.id, OrderRow.account, OrderRow.state, OrderRow.total, OrderRow.currency, OrderRow.session_id,
        OrderRow.session_url,
    ).where(*wanted)  # fmt: skip
    return [
        KnownOrder(
            order=public("ord", key), account=account, state=state, total=total, currency=currency,
            session_id=page, is_page_open=url is not None,
        )
        for key, account, state, total, currency, page, url in await session.execute(query.order_by(OrderRow.id))
    ]  # fmt: skip


def _key(order: str) -> object | None:
    try:
        return parse("ord", order)
    except NotFound:
        return None
