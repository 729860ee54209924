"""The pages that change what renews: another interval, or a pupil more; seen to the grosz, then ordered (R64, R85).

As on the page of the renewal, whoever holds the order's link may do it; the buyer gets a letter of every change.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue, UnknownProduct
from billing.checkout import changing, service, showing_change
from billing.checkout import pages_change as pages
from billing.checkout.changing import Change, Yes
from billing.checkout.documents import TERMS_VERSION
from billing.checkout.opening_renewal import RenewalDesk, open_renewal
from billing.checkout.pages_change import ConfirmChangePage
from billing.checkout.showing_change import Changes
from billing.kernel.db import Database
from billing.kernel.ids import parse
from billing.kernel.pages import Page
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Site, go
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway
from billing.subscriptions import rows
from billing.subscriptions.renewing import CannotChange
from billing.subscriptions.rows import RenewalChange
from billing.subscriptions.wishes import PREFIX


class _Room(msgspec.Struct, frozen=True):
    """What both steps need."""

    database: Database
    gateway: Gateway
    catalogue: Catalogue
    at: datetime


def _name(desk: RenewalDesk, catalogue: Catalogue, product: str) -> str:
    """The product in the reader's language; what the order calls it where it is sold no more."""
    try:
        return catalogue.product(product).names.in_(desk.speech.locale)
    except UnknownProduct:
        return desk.order.product_name


def _here(desk: RenewalDesk) -> Page:
    return Page(seller=desk.site.seller, here=desk.renewal)


def _confirmation(desk: RenewalDesk, planned: RenewalChange, catalogue: Catalogue) -> ConfirmChangePage:
    name, button = _name(desk, catalogue, planned.product), catalogue.order.button.pl
    return showing_change.confirmation(planned, desk.found, desk.order, name, desk.token, desk.site.seller, button)


@get("/orders/{token:str}/renewal/change", operation_id="showChange", include_in_schema=False)
async def show_change(
    request: AnyRequest, token: FromPath[str], session: NamedDependency[AsyncSession], at: NamedDependency[datetime],
    site: NamedDependency[Site], catalogue: NamedDependency[Catalogue],
) -> Response[Any]:  # fmt: skip
    """What it could be instead; where nothing can be changed now, the page of the renewal. Asks no provider."""
    desk = await open_renewal(request, session, token, site, catalogue, at)
    if isinstance(desk, Response):
        return desk
    changes = await showing_change.changes_of(session, desk.found, catalogue, at)
    if not changes:
        return go(desk.back())
    name = _name(desk, catalogue, desk.order.product)
    speech, seller = desk.speech, desk.site.seller
    shown = showing_change.choices(desk.found, changes, desk.order, name, token, seller, speech.locale)
    return desk.answer(pages.change_page(shown, speech))


@post("/orders/{token:str}/renewal/change", operation_id="change", include_in_schema=False, status_code=303)
async def change(
    request: AnyRequest, token: FromPath[str], data: URLEncodedBody[dict[str, Any]],
    database: NamedDependency[Database], gateway: NamedDependency[Gateway], at: NamedDependency[datetime],
    site: NamedDependency[Site], catalogue: NamedDependency[Catalogue],
) -> Response[Any]:  # fmt: skip
    """The first form asks what it costs; the second, with the key of what was shown, orders exactly that."""
    room = _Room(database, gateway, catalogue, at)
    async with database.begin() as session:
        desk = await open_renewal(request, session, token, site, catalogue, at, data)
        if isinstance(desk, Response):
            return desk
        planned = await _planned(session, desk, str(data.get("key", "")))
        changes = await showing_change.changes_of(session, desk.found, catalogue, at)
    if planned is None:
        return await _count(desk, room, _asked(changes, data))
    return await _order(desk, room, planned, changes, data)


def _asked(changes: Changes, data: Mapping[str, Any]) -> Change | None:
    return changes.asked(str(data.get("product", "")), str(data.get("add", "")))


async def _planned(session: AsyncSession, desk: RenewalDesk, key: str) -> RenewalChange | None:
    """The change of a key, if it was shown for this very renewal."""
    try:
        return await rows.shown_change(session, UUID(hex=key), parse(PREFIX, desk.found.view.renewal))
    except ValueError:
        return None


async def _count(desk: RenewalDesk, room: _Room, wanted: Change | None, *, again: bool = False) -> Response[Any]:
    """Step two's page, counted by the provider as of this second (I16)."""
    if wanted is None:
        return go(desk.back())
    renewal = desk.found.view.renewal
    try:
        shown = await changing.preview(room.database, room.gateway, room.catalogue, renewal, wanted, room.at)
    except CannotChange as fault:
        if fault.facts.get("reason") == changing.TOO_EARLY:
            return desk.answer(pages.change_too_early_page(_here(desk), desk.speech), 409)
        return go(desk.back())
    except ProviderError as fault:
        html = pages.change_unavailable_page(_here(desk), desk.speech)
        return desk.answer(html, 503, {"Retry-After": str(fault.retry_after)})
    async with room.database.begin() as session:
        page = _confirmation(desk, await rows.change(session, shown.key), room.catalogue)
    page = msgspec.structs.replace(page, was_counted_again=again)
    return desk.answer(pages.confirm_change_page(page, desk.speech), 409 if again else 200)


async def _order(
    desk: RenewalDesk, room: _Room, planned: RenewalChange, changes: Changes, data: Mapping[str, Any]
) -> Response[Any]:
    """Charge what was shown, or say why not; nobody is asked to order again what may be under way (R55)."""
    shown, yes = _confirmation(desk, planned, room.catalogue), None
    if planned.pupil is None and "renew" not in data:
        shown = msgspec.structs.replace(shown, errors=(pages.blank_change_error(desk.speech),))
        return desk.answer(pages.confirm_change_page(shown, desk.speech), 400)
    if planned.pupil is None:
        words = service.text_hash(pages.consent_of(shown, desk.speech))
        yes = Yes(text_hash=words, version=TERMS_VERSION, locale=desk.speech.locale)
    try:
        state = await changing.make_change(room.database, room.gateway, planned.id, room.at, yes)
    except CannotChange:
        add = pages.PUPIL if planned.pupil is not None else ""
        return await _count(desk, room, changes.asked(planned.product, add), again=True)
    except ProviderError:
        return desk.answer(pages.change_waiting_page(_here(desk), desk.speech), 503)
    if state == "done":
        return go(desk.back("change"))
    if state == "refused":
        return desk.answer(pages.change_refused_page(_here(desk), desk.speech), 409)
    return desk.answer(pages.change_waiting_page(_here(desk), desk.speech), 202)


change_pages = Router("/", route_handlers=[show_change, change])
