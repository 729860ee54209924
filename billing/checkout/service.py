"""Reserving an order and writing down its payment page. Nothing here calls the provider; `placing.py` alternates."""

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import cast

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.rules import may_order
from billing.accounts.service import find_accounts
from billing.activation.service import Link
from billing.catalog.rules import choices_at, in_year, right_of
from billing.catalog.values import Catalogue, Offer, SalesClosed
from billing.checkout import consents, rules
from billing.checkout.consents import Accepted
from billing.checkout.rules import CoveredUntil, Sale
from billing.checkout.tables import ConsentRow, OrderRow
from billing.kernel import audit
from billing.kernel.days import day_of, end_of, start_of
from billing.kernel.ids import new_id, parse, public
from billing.kernel.tokens import derived_token, token_hash
from billing.payments import service as payments
from billing.payments.facts import Checkout, OpenCheckout
from billing.payments.gateway_renewals import Interval
from billing.payments.rules import Intent
from billing.subscriptions import renewing
from billing.subscriptions import service as subscriptions
from entitlements import service as desk

SESSION_LIFE = timedelta(hours=24)
SLACK = timedelta(minutes=1)
INTENT = "checkout"

Order = OrderRow
"""What other rooms call an order that they are handed."""


def order_id(row: OrderRow) -> str:
    """The public id."""
    return public("ord", row.id)


def order_token(secret: str, row: OrderRow) -> str:
    """The token of the order's own page: derived, so never stored in clear."""
    return derived_token(secret, "order", row.id)


async def what_is_for_sale(
    session: AsyncSession, account: str, pupils: Collection[str], catalogue: Catalogue, at: datetime,
    product: str | None = None,
) -> Sale:  # fmt: skip
    """What can be sold now for these pupils of this account: the product asked for, if it is among the choices, else
    the first of them, which never is one that renews while a season pass is sold (R63). Changes nothing."""
    person = (await find_accounts(session, (account,))).get(account)
    if person is None:
        return Sale(offer=None, pupils=(), refusal="link_expired")
    linked = {link.pupil for link in await desk.links_of(session, account)} & set(pupils)
    choices = choices_at(catalogue, at)
    offer = next((choice for choice in choices if choice.product == product), choices[0] if choices else None)
    covered = {} if offer is None else await _covered(session, linked, offer, at)
    blocked = await desk.blocks_of_pupils(session, sorted(linked))
    found = rules.sale(offer, linked, covered, blocked, is_adult=may_order(person.age_band))
    return msgspec.structs.replace(found, locale=person.locale, choices=choices)


async def _covered(
    session: AsyncSession, pupils: Collection[str], offer: Offer, at: datetime
) -> dict[str, CoveredUntil]:
    """Who is paid for or sponsored when the right would begin, and until which day."""
    since, until = right_of(offer, at)
    holding = await desk.holding_sources(session, pupils, since)
    rights = await subscriptions.covering(session, pupils, offer.features, since, until)
    paid = {right.pupil: CoveredUntil("paid", day_of(right.until - timedelta(seconds=1))) for right in rights}
    return paid | {
        pupil: CoveredUntil(
            "paid" if grant.source == "paid" else "sponsored",
            day_of(grant.until - timedelta(seconds=1)) if grant.until else offer.last_day,
        )
        for pupil, grants in holding.items()
        for grant in reversed(grants)
        if grant.source in {"paid", "sponsored"}
    }


async def reserve_order(
    session: AsyncSession,
    link: Link,
    sale: Sale,
    catalogue: Catalogue,
    accepted: Accepted,
    secret: str,
    at: datetime,
) -> OrderRow:
    """The one open order of this account for these pupils and season, made now or found (R34); locked.

    An open order whose offer does not stand any more is closed and a new one made, unless its money may be under way.
    Of one that is not paid, the last click says whether to start at once (R43).
    """
    offer = sale.offer
    if offer is None:
        raise SalesClosed("Nothing is on sale.")
    consents.require_renewal(offer, accepted)
    await _lock(session, link.account, offer.season)
    query = select(OrderRow).where(
        OrderRow.account == link.account,
        OrderRow.season == offer.season,
        OrderRow.pupils == list(sale.pupils),
        OrderRow.state.in_(rules.OPEN),
    )
    row = (await session.scalars(query.with_for_update())).one_or_none()
    is_same = row is not None and is_for(row, sale, accepted)
    if row is not None and (row.state == "pending" or is_same or _is_payable(row, at)):
        if row.state == "incomplete" and is_same and row.start_now != accepted.start_now:
            _wish_again(session, row, offer, catalogue, accepted, at)
        return row
    if row is not None:
        close(session, row, "expired", at)
        await session.flush()
    return await _new_order(session, link, sale, offer, catalogue, accepted, secret, at)


async def _new_order(
    session: AsyncSession, link: Link, sale: Sale, offer: Offer, catalogue: Catalogue,
    accepted: Accepted, secret: str, at: datetime,
) -> OrderRow:  # fmt: skip
    since, until = right_of(offer, at)
    key = new_id(at)
    row = OrderRow(
        id=key, token_hash=token_hash(derived_token(secret, "order", key)), account=link.account, link_id=link.id,
        pupils=list(sale.pupils), product=offer.product, product_name=offer.names.in_(accepted.locale),
        features=list(offer.features), season=offer.season, since=since, until=until, first_day=offer.first_day,
        last_day=offer.last_day, sold_until=_sold_until(offer, catalogue), unit_gross=offer.unit_gross,
        total=sale.total, currency=offer.currency, vat_rate_percent=offer.vat_rate_percent,
        vat_method=offer.vat_method, price_key=offer.price_key, locale=accepted.locale,
        terms_version=accepted.terms_version, terms_hash=accepted.terms_hash, start_now=accepted.start_now,
        waits_days=rules.waits_days(catalogue.order, offer, start_now=accepted.start_now),
        blocked_features=list(sale.blocked_features), state="incomplete", created_at=at,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    consents.keep(session, row, offer, accepted, at)
    audit.record(session, at, "order.made", order_id(row), account=row.account, after="incomplete", total=row.total)
    return row


def _wish_again(
    session: AsyncSession, row: OrderRow, offer: Offer, catalogue: Catalogue, accepted: Accepted, at: datetime
) -> None:
    row.start_now = accepted.start_now
    row.waits_days = rules.waits_days(catalogue.order, offer, start_now=accepted.start_now)
    consents.keep_wish(session, row, accepted, at)
    audit.record(session, at, "order.wish_changed", order_id(row), account=row.account, start_now=accepted.start_now)


def is_for(row: OrderRow, sale: Sale, accepted: Accepted) -> bool:
    """Whether the order says all that is offered and accepted now: what and for how much, at which tax rate, on which
    terms, in which language, less what the school blocks (R13, R45, R85)."""
    offer = sale.offer
    if offer is None:
        return False
    ordered = (
        row.product, row.features, row.blocked_features, row.unit_gross, row.vat_rate_percent, row.vat_method,
        row.terms_version, row.locale,
    )  # fmt: skip
    shown = (
        offer.product, list(offer.features), list(sale.blocked_features), offer.unit_gross, offer.vat_rate_percent,
        offer.vat_method, accepted.terms_version, accepted.locale,
    )  # fmt: skip
    return ordered == shown


def _sold_until(offer: Offer, catalogue: Catalogue) -> datetime:
    """From when on money for this season, or for the first period of what renews, comes too late (R57)."""
    if offer.kind == "renewing":
        return end_of(offer.last_day)
    return end_of(in_year(catalogue.season.sales_close, offer.last_day.year))


def _is_payable(row: OrderRow, at: datetime) -> bool:
    return row.session_expires_at is not None and row.session_expires_at > at + SLACK


def payable_url(row: OrderRow, at: datetime) -> str | None:
    """The open payment page of the order, if there is one now."""
    return row.session_url if row.state == "incomplete" and _is_payable(row, at) else None


async def reserve_session(
    session: AsyncSession, row: OrderRow, catalogue: Catalogue, public_url: str, at: datetime
) -> Intent:
    """The intent to open the order's payment page; a further one once the last page is over (R34).

    The return address lacks the order's token: it is put in when the request is sent, so that no usable token is kept.
    """
    renews = await renewing.of_order(session, order_id(row))
    wanted = OpenCheckout(
        key="",
        reference=order_id(row),
        order=order_id(row),
        product_name=row.product_name,
        unit_amount=row.unit_gross,
        quantity=len(row.pupils),
        total=row.total,
        methods=rules.methods_for(catalogue.product(row.product).methods, row.total, renews=renews is not None),
        success_url=f"{public_url}/orders/",
        cancel_url=f"{public_url}/orders/",
        locale="en" if row.locale == "en" else "pl",
        expires_at=min(at + SESSION_LIFE, max(row.sold_until, at + timedelta(minutes=31))),
        statement_text=catalogue.order.statement_text,
        interval=None if renews is None else cast("Interval", renews.interval),
    )
    return await payments.reserve(session, INTENT, order_id(row), wanted, at, again=row.session_id is not None)


async def record_session(session: AsyncSession, order: OrderRow, page: Checkout, at: datetime) -> None:
    """The payment page as it was opened; from now on the order is looked after until it is settled (R56)."""
    order.session_id, order.session_url, order.session_expires_at = page.session_id, page.url, page.expires_at
    order.checks, order.check_at = 0, rules.next_check(at, 0)
    audit.record(session, at, "order.page_opened", order_id(order), account=order.account)
    await session.flush()


def close(session: AsyncSession, row: OrderRow, to: rules.State, at: datetime) -> None:
    """Move an order; one audit row (I17)."""
    before = row.state
    row.state = rules.move(before, to)  # pyright: ignore[reportArgumentType] - the column is checked by the database
    if to in {"paid", "failed"}:
        row.check_at = None
    audit.record(session, at, "order.moved", order_id(row), account=row.account, before=before, after=to)


async def find_order(session: AsyncSession, token: str) -> OrderRow | None:
    """The order whose page a token opens."""
    return (await session.scalars(select(OrderRow).where(OrderRow.token_hash == token_hash(token)))).one_or_none()


async def lock_order(session: AsyncSession, key: object) -> OrderRow:
    """The order, locked until the transaction ends."""
    return await session.get_one(OrderRow, key, with_for_update=True, populate_existing=True)


def text_hash(text: str) -> str:
    """SHA-256 of a text as it was shown, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def first_instant(row: OrderRow, captured_at: datetime) -> datetime:
    """When the paid right begins: with the payment, or with a season that has not begun (R5), or after the time to
    withdraw where the order waits for that (R44)."""
    begins = max(captured_at, start_of(row.first_day)) if row.first_day > day_of(row.created_at) else captured_at
    return rules.begins_after(begins, day_of(captured_at), row.waits_days, row.until)


async def _lock(session: AsyncSession, account: str, season: str) -> None:
    """Two clicks at once make one order: the second waits here and finds it."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"order:{account}:{season}", 0))))


async def read_order(session: AsyncSession, order: str) -> OrderRow:
    """The order of a public id that is known to exist, to read it."""
    return await session.get_one(OrderRow, parse("ord", order))


async def record_informed(session: AsyncSession, order: str, at: datetime) -> None:
    """The confirmation with the terms and the information about withdrawing was handed over (R46, R74)."""
    row = await lock_order(session, parse("ord", order))
    row.informed_at = row.informed_at or at


async def orders_of(session: AsyncSession, account: str, *, lock: bool = False) -> list[OrderRow]:
    """The account's orders, oldest first."""
    query = select(OrderRow).where(OrderRow.account == account).order_by(OrderRow.id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def consents_of(session: AsyncSession, row: OrderRow) -> list[ConsentRow]:
    """What was agreed to with an order (R92)."""
    return list(await session.scalars(select(ConsentRow).where(ConsentRow.order_id == row.id).order_by(ConsentRow.id)))


async def forget_buyer(session: AsyncSession, account: str, at: datetime) -> list[datetime]:
    """Take the account off its orders; open ones are closed, so that money which still comes goes back (R57, R88).
    Answers when the paid ones were paid.
    """
    rows = await orders_of(session, account, lock=True)
    for row in rows:
        if row.state == "incomplete":
            close(session, row, "expired", at)
        row.account = None
    return [row.paid_at for row in rows if row.paid_at is not None]
