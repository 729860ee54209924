"""The click on "Zamawiam i płacę": reserve (a transaction), ask the provider (none open), record (a transaction).

A crash at any point leaves an intent that the next click, or the sweep, takes further; never two pages to pay on (I11).
"""

from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.activation import service as activation
from billing.catalog.values import Catalogue
from billing.checkout import rules, service
from billing.checkout.fulfilment import apply_checkout, give_for_nothing
from billing.checkout.renewing_orders import reserve_renewal
from billing.checkout.rules import Sale
from billing.checkout.service import Accepted
from billing.checkout.tables import OrderRow
from billing.kernel.db import Database
from billing.kernel.errors import Conflict
from billing.payments import calls
from billing.payments import service as payments
from billing.payments.calls import NeverMade
from billing.payments.facts import Checkout, ProviderUnknown
from billing.payments.gateway import Gateway
from billing.payments.rules import Intent, next_step
from billing.subscriptions import renewing

TURNED_BACK = "turned_back"
"""Marks the return of somebody who left the payment page without paying."""

_ATTEMPTS = 3


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What placing an order needs to know of this place."""

    public_url: str
    secret: str


class NotForSale(Conflict):
    """Nothing can be sold for this link now; `sale` says why."""

    def __init__(self, sale: Sale) -> None:
        super().__init__("Nothing can be sold for this link now.", code=sale.refusal or "conflict")
        self.sale = sale


class OfferChanged(Conflict):
    """The page showed another price, period or set of pupils than now (R85)."""

    code = "price_changed"


async def place_order(
    database: Database, gateway: Gateway, catalogue: Catalogue, place: Place, *, token: str, shown: str,
    accepted: Accepted, at: datetime, product: str | None = None,
) -> str:  # fmt: skip
    """Where to send the buyer: the payment page of the one open order, or the order's own page when it is paid or
    waits for the bank. Raises NotForSale, OfferChanged, LinkExpired and the provider's errors."""
    page = ""
    for _ in range(_ATTEMPTS):
        async with database.begin() as session:
            link = await activation.find(session, token, at, lock=True)
            sale = await service.what_is_for_sale(session, link.account, link.pupils, catalogue, at, product)
            if sale.refusal is not None:
                raise NotForSale(sale)
            if rules.digest(sale, accepted.terms_version) != shown:
                raise OfferChanged("The offer has changed since the page was opened.")
            order = await service.reserve_order(session, link, sale, catalogue, accepted, place.secret, at)
            is_same = service.is_for(order, sale, accepted)
            if is_same:
                await _complete(session, order, sale, catalogue, at)
        page = f"{place.public_url}/orders/{service.order_token(place.secret, order)}"
        if order.state != "incomplete":
            return page
        if not is_same:
            await _take_back(database, gateway, order, at)
            continue
        url = service.payable_url(order, at)
        if url is not None:
            return url
        try:
            opened = await _open(database, gateway, catalogue, place, order, at)
        except NeverMade:
            continue
        if opened is not None and opened.status == "open" and opened.url is not None:
            return opened.url
    return page


async def _complete(
    session: AsyncSession, order: OrderRow, sale: rules.Sale, catalogue: Catalogue, at: datetime
) -> None:
    """What belongs to the order itself, in its transaction: that it renews (R64), or that there is nothing to pay."""
    interval = None if sale.offer is None else sale.offer.interval
    if interval is not None and await renewing.of_order(session, service.order_id(order)) is None:
        rule = catalogue.renewal
        notice_days = min(rule.notice_days(interval))
        reserve_renewal(session, order, interval=interval, grace_days=rule.grace_days, notice_days=notice_days, at=at)
        await session.flush()
    if sale.total == 0:
        await give_for_nothing(session, order, at)


async def _take_back(database: Database, gateway: Gateway, order: OrderRow, at: datetime) -> None:
    """Close the page of an order that is no longer what is shown (R45, R85), unless it was paid meanwhile."""
    if order.session_id is not None:
        former = await gateway.expire_checkout(order.session_id, f"expire-{order.session_id}")
        async with database.begin() as session:
            await apply_checkout(session, former, at)


async def _may_look(database: Database, before: Intent, at: datetime) -> bool:
    """Whether that was the last send its key may have: a stored fault is answered again and again (F29), so what was
    asked is looked up now, and not only at the buyer's next click."""
    async with database.begin() as session:
        now = await payments.read_intent(session, before.id)
    return now.tries > before.tries and next_step(now, at) == "look_up"


async def _open(
    database: Database, gateway: Gateway, catalogue: Catalogue, place: Place, order: OrderRow, at: datetime
) -> Checkout | None:
    """The order's open page; a former page is read first, since it may have been paid unheard (R56, F38). None: look
    again. Another click has opened one since `order` was read, and two to pay on must not be (I11), or the last send
    was in vain."""
    if order.session_id is not None:
        former = await gateway.read_checkout(order.session_id)
        async with database.begin() as session:
            await apply_checkout(session, former, at)
        if former.status != "expired":
            return former
    async with database.begin() as session:
        row = await service.lock_order(session, order.id)
        if row.session_id != order.session_id:
            return None
        intent = await service.reserve_session(session, row, catalogue, place.public_url, at)
    back = f"{place.public_url}/orders/{service.order_token(place.secret, order)}"
    try:
        opened = await calls.open_checkout(
            database, gateway, intent.id, at, private={"success_url": back, "cancel_url": f"{back}?{TURNED_BACK}=1"}
        )
    except ProviderUnknown:
        if await _may_look(database, intent, at):
            return None
        raise
    async with database.begin() as session:
        row = await service.lock_order(session, order.id)
        if row.session_id != opened.session_id:
            await service.record_session(session, row, opened, at)
    return opened
