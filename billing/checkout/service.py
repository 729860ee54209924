"""Reserving an order and writing down its payment page. Nothing here calls the provider; `placing.py` alternates."""

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.rules import may_order
from billing.accounts.service import find_accounts
from billing.activation.service import Link
from billing.catalog.rules import in_year, offer_at, right_of
from billing.catalog.values import Catalogue, Offer, SalesClosed
from billing.checkout import rules
from billing.checkout.rules import CoveredUntil, Sale
from billing.checkout.tables import ConsentRow, OrderRow
from billing.kernel import audit
from billing.kernel.days import day_of, end_of, start_of
from billing.kernel.ids import new_id, parse, public
from billing.kernel.tokens import derived_token, token_hash
from billing.payments import service as payments
from billing.payments.gateway import Checkout, OpenCheckout
from billing.payments.rules import Intent
from entitlements import service as desk

SESSION_LIFE = timedelta(hours=24)
SLACK = timedelta(minutes=1)
INTENT = "checkout"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What the buyer accepted by the click, in which words (R43, R45). Hashes are SHA-256 in hex."""

    start_now: bool
    start_now_hash: str
    terms_hash: str
    terms_version: str
    locale: str


def order_id(row: OrderRow) -> str:
    """The public id."""
    return public("ord", row.id)


def order_token(secret: str, row: OrderRow) -> str:
    """The token of the order's own page: derived, so never stored in clear."""
    return derived_token(secret, "order", row.id)


async def what_is_for_sale(
    session: AsyncSession, account: str, pupils: Collection[str], catalogue: Catalogue, at: datetime
) -> Sale:
    """What can be sold now for these pupils of this account. Changes nothing."""
    person = (await find_accounts(session, (account,))).get(account)
    if person is None:
        return Sale(offer=None, pupils=(), refusal="link_expired")
    linked = {link.pupil for link in await desk.links_of(session, account)} & set(pupils)
    try:
        offer = offer_at(catalogue, None, at)
    except SalesClosed:
        offer = None
    covered = {} if offer is None else await _covered(session, linked, offer, at)
    blocked = await desk.blocks_of_pupils(session, sorted(linked))
    found = rules.sale(offer, linked, covered, blocked, is_adult=may_order(person.age_band))
    return msgspec.structs.replace(found, locale=person.locale)


async def _covered(
    session: AsyncSession, pupils: Collection[str], offer: Offer, at: datetime
) -> dict[str, CoveredUntil]:
    """Who is paid for or sponsored when the right would begin, and until which day."""
    since, _ = right_of(offer, at)
    holding = await desk.holding_sources(session, pupils, since)
    return {
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
    """
    offer = sale.offer
    if offer is None:
        raise SalesClosed("Nothing is on sale.")
    await _lock(session, link.account, offer.season)
    query = select(OrderRow).where(
        OrderRow.account == link.account,
        OrderRow.season == offer.season,
        OrderRow.pupils == list(sale.pupils),
        OrderRow.state.in_(rules.OPEN),
    )
    row = (await session.scalars(query.with_for_update())).one_or_none()
    if row is not None and (row.state == "pending" or row.unit_gross == offer.unit_gross or _is_payable(row, at)):
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
        id=key,
        token_hash=token_hash(derived_token(secret, "order", key)),
        account=link.account,
        link_id=link.id,
        pupils=list(sale.pupils),
        product=offer.product,
        product_name=offer.names.in_(accepted.locale),
        features=list(offer.features),
        season=offer.season,
        since=since,
        until=until,
        first_day=offer.first_day,
        last_day=offer.last_day,
        sold_until=_sold_until(offer, catalogue),
        unit_gross=offer.unit_gross,
        total=sale.total,
        currency=offer.currency,
        vat_rate_percent=offer.vat_rate_percent,
        price_key=offer.price_key,
        locale=accepted.locale,
        terms_version=accepted.terms_version,
        terms_hash=accepted.terms_hash,
        start_now=accepted.start_now,
        blocked_features=list(sale.blocked_features),
        state="incomplete",
        created_at=at,
        checks=0,
    )
    session.add(row)
    await session.flush()
    _keep_consents(session, key, accepted, at)
    audit.record(session, at, "order.made", order_id(row), account=row.account, after="incomplete", total=row.total)
    return row


def _keep_consents(session: AsyncSession, order: UUID, accepted: Accepted, at: datetime) -> None:
    """What stood beside each box, and whether it was ticked (R43, R92)."""
    for kind, text, given in (
        ("start_now", accepted.start_now_hash, accepted.start_now),
        ("terms", accepted.terms_hash, True),
    ):
        session.add(
            ConsentRow(
                id=new_id(at),
                order_id=order,
                kind=kind,
                text_hash=text,
                version=accepted.terms_version,
                given=given,
                at=at,
            )
        )


def _sold_until(offer: Offer, catalogue: Catalogue) -> datetime:
    """From when on money for this season comes too late (R57)."""
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
    wanted = OpenCheckout(
        key="",
        reference=order_id(row),
        order=order_id(row),
        product_name=row.product_name,
        unit_amount=row.unit_gross,
        quantity=len(row.pupils),
        total=row.total,
        methods=catalogue.product(row.product).methods,
        success_url=f"{public_url}/orders/",
        cancel_url=f"{public_url}/orders/",
        locale="en" if row.locale == "en" else "pl",
        expires_at=min(at + SESSION_LIFE, max(row.sold_until, at + timedelta(minutes=31))),
        statement_text=catalogue.order.statement_text,
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
    """When the paid right begins: with the payment, or with a season that has not begun (R5)."""
    return max(captured_at, start_of(row.first_day)) if row.first_day > day_of(row.created_at) else captured_at


async def _lock(session: AsyncSession, account: str, season: str) -> None:
    """Two clicks at once make one order: the second waits here and finds it."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"order:{account}:{season}", 0))))


async def read_order(session: AsyncSession, order: str) -> OrderRow:
    """The order of a public id that is known to exist, to read it."""
    return await session.get_one(OrderRow, parse("ord", order))


async def orders_of(session: AsyncSession, account: str) -> list[OrderRow]:
    """The account's orders, oldest first."""
    return list(await session.scalars(select(OrderRow).where(OrderRow.account == account).order_by(OrderRow.id)))


async def consents_of(session: AsyncSession, row: OrderRow) -> list[ConsentRow]:
    """What was agreed to with an order (R92)."""
    return list(await session.scalars(select(ConsentRow).where(ConsentRow.order_id == row.id).order_by(ConsentRow.id)))


async def forget_buyer(session: AsyncSession, account: str, at: datetime) -> list[datetime]:
    """Take the account off its orders; open ones are closed, so that money which still comes goes back (R57, R88).
    Answers when the paid ones were paid.
    """
    rows = await orders_of(session, account)
    for row in rows:
        if row.state == "incomplete":
            close(session, row, "expired", at)
        row.account = None
    return [row.paid_at for row in rows if row.paid_at is not None]
