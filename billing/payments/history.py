"""Many payments, refunds and pages at once, as we know them: for whoever compares us with the provider."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, Uuid, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.among import among
from billing.kernel.errors import NotFound
from billing.kernel.ids import last_id, parse, public
from billing.payments.tables import IntentRow, PaymentRow, RefundRow
from billing.payments.values import KnownPayment, KnownRefund

_PAGE = "cs_"
_INTENT, _REFUND = "int", "ref"
_NOT_A_CALL_ABOUT_MONEY = "events"


async def pages_known(session: AsyncSession, sessions: Collection[str], references: Collection[str]) -> dict[str, str]:
    """Which order a payment page was opened for, by the page's id, or by the reference only we could have given it."""
    if not (sessions or references):
        return {}
    keys = _keys(_INTENT, references)
    query = select(IntentRow.id, IntentRow.provider_id, IntentRow.target).where(
        or_(among(IntentRow.provider_id, sessions), _among_keys(IntentRow.id, keys))
    )
    found: dict[str, str] = {}
    for key, provider_id, target in await session.execute(query):
        found[public(_INTENT, key)] = target
        if provider_id is not None:
            found[provider_id] = target
    return found


async def pages_of(session: AsyncSession, orders: Collection[str]) -> list[str]:
    """Every payment page that was ever opened for these orders."""
    if not orders:
        return []
    query = select(IntentRow.provider_id).where(
        among(IntentRow.target, orders), IntentRow.provider_id.startswith(_PAGE, autoescape=True)
    )
    return [each for each in await session.scalars(query.order_by(IntentRow.id)) if each is not None]


async def payments_known(session: AsyncSession, ids: Collection[str]) -> list[KnownPayment]:
    """The payments that the provider calls so (`pi_…` or `ch_…`)."""
    if not ids:
        return []
    named = or_(among(PaymentRow.stripe_payment_intent, ids), among(PaymentRow.stripe_charge, ids))
    return await _payments(session, named)


async def payments_captured(session: AsyncSession, since: datetime, until: datetime) -> list[KnownPayment]:
    """The payments captured in that time."""
    return await _payments(session, PaymentRow.captured_at >= since, PaymentRow.captured_at < until)


async def payments_of_orders(session: AsyncSession, orders: Collection[str]) -> list[KnownPayment]:
    """The payments of these orders."""
    if not orders:
        return []
    return await _payments(session, among(PaymentRow.order_id, orders))


async def refunds_known(
    session: AsyncSession, provider_ids: Collection[str], references: Collection[str]
) -> list[KnownRefund]:
    """The refunds that the provider calls so, or that carry our own ids."""
    if not (provider_ids or references):
        return []
    ours = _among_keys(RefundRow.id, _keys(_REFUND, references))
    return await _refunds(session, or_(among(RefundRow.stripe_refund, provider_ids), ours))


async def refunds_made(session: AsyncSession, since: datetime, until: datetime) -> list[KnownRefund]:
    """The refunds begun in that time which the provider has told us of."""
    return await _refunds(
        session, RefundRow.stripe_refund.is_not(None), RefundRow.created_at >= since, RefundRow.created_at < until
    )


async def refunds_of_orders(session: AsyncSession, orders: Collection[str]) -> list[KnownRefund]:
    """The refunds of these orders which the provider has told us of."""
    if not orders:
        return []
    return await _refunds(session, RefundRow.stripe_refund.is_not(None), among(RefundRow.order_id, orders))


async def call_before(session: AsyncSession, at: datetime) -> datetime | None:
    """When the provider was last asked for anything about money, at `at` or before."""
    return await _call(session, IntentRow.id <= last_id(at), IntentRow.id.desc())


async def call_after(session: AsyncSession, at: datetime) -> datetime | None:
    """When the provider was first asked for anything about money after `at`."""
    return await _call(session, IntentRow.id > last_id(at), IntentRow.id)


async def _call(session: AsyncSession, place: ColumnElement[bool], order: Any) -> datetime | None:
    query = select(IntentRow.created_at).where(IntentRow.kind != _NOT_A_CALL_ABOUT_MONEY, place)
    return await session.scalar(query.order_by(order).limit(1))


async def _payments(session: AsyncSession, *wanted: ColumnElement[bool]) -> list[KnownPayment]:
    query = select(
        PaymentRow.stripe_payment_intent, PaymentRow.stripe_charge, PaymentRow.order_id, PaymentRow.amount,
        PaymentRow.currency, PaymentRow.captured_at, PaymentRow.amount_refunded,
    ).where(*wanted)  # fmt: skip
    return [
        KnownPayment(
            payment_id=payment,
            charge_id=charge,
            order=order,
            amount=amount,
            currency=currency,
            captured_at=at,
            amount_refunded=refunded,
        )
        for payment, charge, order, amount, currency, at, refunded in await session.execute(
            query.order_by(PaymentRow.captured_at, PaymentRow.id)
        )
    ]


async def _refunds(session: AsyncSession, *wanted: ColumnElement[bool]) -> list[KnownRefund]:
    query = (
        select(
            RefundRow.id, RefundRow.stripe_refund, PaymentRow.stripe_payment_intent, RefundRow.order_id,
            RefundRow.amount, RefundRow.state, RefundRow.created_at, RefundRow.settled_at,
        )
        .join(PaymentRow, PaymentRow.id == RefundRow.payment_id)
        .where(*wanted)
        .order_by(RefundRow.created_at, RefundRow.id)
    )  # fmt: skip
    return [
        KnownRefund(
            refund=public(_REFUND, key), provider_id=provider_id, payment_id=payment, order=order, amount=amount,
            state=state, created_at=created_at, settled_at=settled_at,
        )
        for key, provider_id, payment, order, amount, state, created_at, settled_at in await session.execute(query)
    ]  # fmt: skip


def _among_keys(column: SQLColumnExpression[Any], keys: Iterable[UUID]) -> ColumnElement[bool]:
    return column == any_(literal(sorted(set(keys)), ARRAY(Uuid())))


def _keys(prefix: str, names: Iterable[str]) -> list[UUID]:
    """The keys of those names that are ours in form."""
    found: list[UUID] = []
    for name in names:
        try:
            found.append(parse(prefix, name))
        except NotFound:
            continue
    return found
