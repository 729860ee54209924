"""The parents' pages: the offer behind a link, the click that binds, the truth about an order, the documents."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from sqlalchemy.ext.asyncio import AsyncSession

from billing.activation import service as activation
from billing.activation.service import Link
from billing.catalog.values import Catalogue
from billing.checkout import documents, pages, pages_messages, service, showing
from billing.checkout.documents import TERMS_VERSION, DocumentPage, Policy, document, document_page
from billing.checkout.opening import open_order
from billing.checkout.pages import FieldError
from billing.checkout.placing import TURNED_BACK, NotForSale, OfferChanged, Place, place_order
from billing.checkout.routes_renewal import renewal_pages
from billing.checkout.rules import Sale
from billing.checkout.service import Accepted
from billing.kernel.days import day_of
from billing.kernel.db import Database
from billing.kernel.errors import Gone, NotFound
from billing.kernel.pages import STATIC
from billing.kernel.speech import Speech
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Html, Site, go, page, speech_of, wrong_link
from billing.payments.facts import ProviderError
from billing.payments.gateway import Gateway


async def _link(request: AnyRequest, session: AsyncSession, token: str, at: datetime, site: Site) -> Link | Html:
    """The living link, or the page that helps (R35); nobody is named, nothing changes (I27)."""
    try:
        return await activation.find(session, token, at)
    except Gone:
        speech = speech_of(request)
        return page(site, showing.gone(site.seller, speech, "expired"), speech, 410)
    except NotFound:
        return await wrong_link(request, site, lambda speech: showing.gone(site.seller, speech, "unknown"))


@get("/activate/{token:str}", operation_id="showOffer", include_in_schema=False)
async def show_offer(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
) -> Html:
    """What, for how many, how much, from when to when; opening it changes nothing and asks no provider (R33)."""
    link = await _link(request, session, token, at, site)
    if isinstance(link, Response):
        return link
    plan = request.query_params.get(showing.PLAN)
    sale = await service.what_is_for_sale(session, link.account, link.pupils, catalogue, at, plan)
    speech = speech_of(request, sale.locale)
    if sale.refusal is not None:
        until = await showing.paid_until(session, link) if sale.refusal == "already_covered" else None
        if until is not None:
            return page(site, showing.gone(site.seller, speech, "used", until), speech, 410)
        html, status = showing.refused(sale, catalogue, site.seller, speech, at, f"/activate/{token}")
        return page(site, html, speech, HTTPStatus.GONE if status == HTTPStatus.GONE else HTTPStatus.OK)
    html = pages.offer_page(showing.offer(sale, link, token, catalogue, site.seller, speech, at=at), speech)
    return page(site, html, speech)


@post("/activate/{token:str}/order", operation_id="placeOrder", include_in_schema=False, status_code=303)
async def place(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
    database: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
) -> Response[Any]:
    """Makes or finds the one open order and its payment page and leads there; so does a second click (R34)."""
    async with database.begin() as session:
        link = await _link(request, session, token, at, site)
        if isinstance(link, Response):
            return link
        product = str(data.get("product", ""))
        sale = await service.what_is_for_sale(session, link.account, link.pupils, catalogue, at, product)
    speech = speech_of(request, sale.locale, data)
    errors = _blank(data, sale, speech)
    if errors and sale.refusal is None:
        shown = showing.offer(sale, link, token, catalogue, site.seller, speech, at=at, errors=errors)
        return page(site, pages.offer_page(shown, speech), speech, 400)
    where = Place(public_url=site.public_url, secret=site.secret)
    accepted = _accepted(data, sale, catalogue, site, speech)
    try:
        url = await place_order(
            database, gateway, catalogue, where, token=token, shown=str(data.get("offer", "")), accepted=accepted,
            at=at, product=product,
        )  # fmt: skip
    except NotForSale as fault:
        html, status = showing.refused(fault.sale, catalogue, site.seller, speech, at, f"/activate/{token}")
        return page(site, html, speech, status)
    except OfferChanged:
        shown = showing.offer(sale, link, token, catalogue, site.seller, speech, at=at, has_changed=True)
        return page(site, pages.offer_page(shown, speech), speech, 409)
    except ProviderError as fault:
        return _unavailable(site, speech, link, token, fault.retry_after)
    return go(url)


def _unavailable(site: Site, speech: Speech, link: Link, token: str, retry_after: int) -> Html:
    """Stripe does not answer: a polite page, and the link stays alive (R136)."""
    shown = pages_messages.ProviderUnavailablePage(
        seller=site.seller,
        here=f"/activate/{token}",
        back_url=f"/activate/{token}",
        link_valid_until=day_of(showing.last_valid_day(link)),
    )
    html = pages_messages.provider_unavailable_page(shown, speech)
    return page(site, html, speech, 503, {"Retry-After": str(retry_after)})


def _blank(data: dict[str, Any], sale: Sale, speech: Speech) -> tuple[FieldError, ...]:
    """The boxes that must be ticked and are not (R42, R64)."""
    terms = () if "terms" in data else (pages.blank_terms_error(speech),)
    renews = sale.offer is not None and sale.offer.kind == "renewing"
    return terms if "renew" in data or not renews else (*terms, pages.blank_renewal_error(speech))


def _accepted(data: dict[str, Any], sale: Sale, catalogue: Catalogue, site: Site, speech: Speech) -> Accepted:
    words = pages.consents(speech, catalogue.order.button.pl, showing.renewal_of(sale, catalogue))
    terms = document("terms", site.seller, speech, policy_of(catalogue))
    return Accepted(
        start_now="start_now" in data,
        start_now_hash=service.text_hash(words.start_now),
        terms_hash=terms.sha256,
        terms_version=TERMS_VERSION,
        locale=speech.locale,
        renewal_hash=service.text_hash(words.renew) if "renew" in data else None,
    )


def policy_of(catalogue: Catalogue) -> Policy:
    """The settings the terms must tell."""
    return Policy(full_refund=catalogue.order.refund_policy == "full")


@get("/orders/{token:str}", operation_id="showOrder", include_in_schema=False)
async def show_order(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
) -> Html:
    """Where the parent comes back to. Tells the truth and never grants (R55)."""
    desk = await open_order(request, session, token, site)
    if isinstance(desk, Response):
        return desk
    turned_back = TURNED_BACK in request.query_params
    shown = await showing.order(session, desk.order, token, catalogue, site.seller, at, has_turned_back=turned_back)
    return desk.answer(pages.order_page(shown, desk.speech))


@get(list(documents.PATHS), operation_id="showDocument", include_in_schema=False, sync_to_thread=False)
def show_document(request: AnyRequest, site: NamedDependency[Site], catalogue: NamedDependency[Catalogue]) -> Html:
    """Terms, privacy, accessibility, help: free to read before anything is ordered."""
    speech = speech_of(request)
    name = documents.PATHS[request.url.path]
    shown = DocumentPage(seller=site.seller, here=request.url.path, name=name, policy=policy_of(catalogue))
    return page(site, document_page(shown, speech), speech)


@get("/nie-teraz", operation_id="notNow", include_in_schema=False, sync_to_thread=False)
def not_now(request: AnyRequest, site: NamedDependency[Site]) -> Html:
    """Where "Not now" leads: nothing happened, nothing will (R42)."""
    speech = speech_of(request)
    return page(site, pages_messages.not_now_page(pages_messages.NotNowPage(seller=site.seller), speech), speech)


@get("/static/{name:str}", operation_id="static", include_in_schema=False, sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    """The style sheet and the mark; nothing else is served."""
    kinds = {"css": "text/css", "svg": "image/svg+xml"}
    known = {place.name: place for place in STATIC.iterdir() if place.suffix[1:] in kinds}
    if name not in known:
        raise NotFound("There is no such file.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(known[name].read_bytes(), media_type=kinds[known[name].suffix[1:]], headers=headers)


public_pages = Router(
    "/", route_handlers=[show_offer, place, show_order, show_document, not_now, static, renewal_pages]
)
