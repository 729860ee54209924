"""The pages of what renews, for the holder of the order's link: how it stands, off, on, pause, a new price, the card.

No login: who holds the link of the order may stop paying for it (R67). Opening a page changes nothing.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue
from billing.checkout import pages_renewal as pages
from billing.checkout import service, showing_change, showing_renewal
from billing.checkout.documents import TERMS_VERSION
from billing.checkout.opening_renewal import RenewalDesk, open_renewal
from billing.checkout.pages import renewal_consent
from billing.checkout.routes_change import change_pages
from billing.kernel.db import Database
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id, parse
from billing.kernel.pages import Page
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Html, Site, go
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway
from billing.subscriptions import consents, renewing, rows
from billing.subscriptions.wishes import PREFIX

HOLDER = "order_holder"
"""Who acts here, for the audit: somebody with the link of the order."""

_JUST_NOW = timedelta(hours=1)
"""How long the page may say that a change has been made: it was shown, and ordered within half an hour."""


@get("/orders/{token:str}/renewal", operation_id="showRenewal", include_in_schema=False)
async def show_renewal(
    request: AnyRequest, token: FromPath[str], session: NamedDependency[AsyncSession], at: NamedDependency[datetime],
    site: NamedDependency[Site], catalogue: NamedDependency[Catalogue],
) -> Html:  # fmt: skip
    """Paid through, next charge, state, and every control one click away (R67)."""
    desk = await open_renewal(request, session, token, site, catalogue, at)
    if isinstance(desk, Response):
        return desk
    changes = await showing_change.changes_of(session, desk.found, catalogue, at)
    key = parse(PREFIX, desk.found.view.renewal)
    shown = showing_renewal.renewal(
        desk.found, desk.order, token, site.seller, request.query_params.get("done"), may_change=bool(changes),
        has_changed=await rows.has_changed(session, key, at - _JUST_NOW),
    )  # fmt: skip
    return desk.answer(pages.renewal_page(shown, desk.speech))


@post("/orders/{token:str}/renewal", operation_id="changeRenewal", include_in_schema=False, status_code=303)
async def change_renewal(
    request: AnyRequest, token: FromPath[str], data: URLEncodedBody[dict[str, Any]],
    session: NamedDependency[AsyncSession], at: NamedDependency[datetime], site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
) -> Response[Any]:  # fmt: skip
    """Off, on, pause or resume: written down at once, whatever the provider does; a second click changes nothing."""
    desk = await open_renewal(request, session, token, site, catalogue, at, data)
    if isinstance(desk, Response):
        return desk
    act = str(data.get("act", ""))
    try:
        async with session.begin_nested():
            await _act(session, act, desk, catalogue, at)
    except Conflict:
        return go(desk.back())
    return go(desk.back(act))


async def _act(session: AsyncSession, act: str, desk: RenewalDesk, catalogue: Catalogue, at: datetime) -> None:
    row = await renewing.find(session, desk.found.view.renewal, lock=True)
    if act == "off":
        await renewing.turn_off(session, row, at, actor=HOLDER)
    elif act == "on":
        await renewing.turn_on(session, row, catalogue, at, actor=HOLDER)
    elif act == "pause":
        await renewing.pause(session, row, catalogue, at, actor=HOLDER)
    elif act == "resume":
        await renewing.resume(session, row, catalogue, at, actor=HOLDER)
    else:
        raise Conflict("There is no such act.")


@get("/orders/{token:str}/renewal/price", operation_id="showPrice", include_in_schema=False)
async def show_price(
    request: AnyRequest, token: FromPath[str], session: NamedDependency[AsyncSession], at: NamedDependency[datetime],
    site: NamedDependency[Site], catalogue: NamedDependency[Catalogue],
) -> Response[Any]:  # fmt: skip
    """Both prices and an unticked box (R66); where no price waits for a yes, the page of the renewal."""
    desk = await open_renewal(request, session, token, site, catalogue, at)
    if isinstance(desk, Response):
        return desk
    rise = desk.found.rise
    if rise is None:
        return go(desk.back())
    shown = showing_renewal.price(desk.found, rise, desk.order, token, site.seller)
    return desk.answer(pages.price_page(shown, desk.speech))


@post("/orders/{token:str}/renewal/price", operation_id="agreeToPrice", include_in_schema=False, status_code=303)
async def agree_to_price(
    request: AnyRequest, token: FromPath[str], data: URLEncodedBody[dict[str, Any]],
    session: NamedDependency[AsyncSession], at: NamedDependency[datetime], site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
) -> Response[Any]:  # fmt: skip
    """Agree to exactly the price that was shown; another one is shown again first (R66, R85)."""
    desk = await open_renewal(request, session, token, site, catalogue, at, data)
    if isinstance(desk, Response):
        return desk
    rise, unit = desk.found.rise, desk.found.view.needs_consent
    if rise is None or unit is None:
        return go(desk.back())
    shown = showing_renewal.price(desk.found, rise, desk.order, token, site.seller)
    if "renew" not in data:
        shown = msgspec.structs.replace(shown, errors=(pages.blank_consent_error(desk.speech),))
        return desk.answer(pages.price_page(shown, desk.speech), 400)
    if data.get("shown") != shown.shown:
        return desk.answer(pages.price_page(shown, desk.speech), 409)
    words = service.text_hash(renewal_consent(shown.interval, rise.new_amount, desk.speech))
    row = await renewing.find(session, desk.found.view.renewal, lock=True)
    consents.agree(
        session, order_id=row.order_id, unit_gross=unit, interval=row.interval, text_hash=words, version=TERMS_VERSION,
        locale=desk.speech.locale, channel="renewal_page", at=at,
    )  # fmt: skip
    await session.flush()
    was_on = row.is_renewal_on
    await renewing.agreed_again(session, row, catalogue, at, actor=HOLDER)
    if was_on:
        renewing.say(session, row, "renewal.agreed", at)
    return go(desk.back("price"))


@post("/orders/{token:str}/renewal/card", operation_id="changeCard", include_in_schema=False, status_code=303)
async def change_card(
    request: AnyRequest, token: FromPath[str], data: URLEncodedBody[dict[str, Any]],
    database: NamedDependency[Database], gateway: NamedDependency[Gateway], at: NamedDependency[datetime],
    site: NamedDependency[Site], catalogue: NamedDependency[Catalogue],
) -> Response[Any]:  # fmt: skip
    """To the provider's own page, where the card is changed: we never see its number."""
    async with database.begin() as session:
        desk = await open_renewal(request, session, token, site, catalogue, at, data)
    if isinstance(desk, Response):
        return desk
    customer = desk.found.customer
    if customer is None or desk.found.state == "ended":
        return go(desk.back())
    back, locale = f"{site.public_url}{desk.renewal}", "en" if desk.speech.locale == "en" else "pl"
    try:
        url = await gateway.renewals.portal(customer, back, locale, f"portal-{new_id(at).hex}")
    except ProviderError as fault:
        html = pages.card_unavailable_page(Page(seller=site.seller, here=desk.renewal), desk.renewal, desk.speech)
        return desk.answer(html, 503, {"Retry-After": str(fault.retry_after)})
    return go(url)


renewal_pages = Router(
    "/", route_handlers=[show_renewal, change_renewal, show_price, agree_to_price, change_card, change_pages]
)
