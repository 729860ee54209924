"""The page on which the holder of an order's link asks for an invoice: no login, no script; opening it does nothing."""

from datetime import datetime
from typing import Any, cast

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.rules import is_address
from billing.checkout import service as checkout
from billing.checkout import showing
from billing.checkout.service import Order
from billing.invoices import pages, rules, service
from billing.invoices.pages import AskedPage, InvoicePage, NoInvoicePage
from billing.invoices.rules import Field, State
from billing.invoices.service import Standing
from billing.invoices.tables import InvoiceRow
from billing.kernel.limits import Limiter
from billing.kernel.speech import LANGUAGES, Speech, speak
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Site, count_wrong_link, page, speech_of

_LONGEST = {"name": 200, "street": 200, "town": 100, "email": 254, "nip": 20}


class _Desk(msgspec.Struct, frozen=True):
    """An order whose link is good, and all that is needed to show its pages."""

    order: Order
    token: str
    site: Site
    speech: Speech

    @property
    def here(self) -> str:
        """The order's own page."""
        return f"/orders/{self.token}"


async def _open(
    request: AnyRequest, session: AsyncSession, token: str, site: Site, limiter: Limiter
) -> _Desk | Response[str]:
    """The order behind a link, or the page that helps; guesses are counted (R39)."""
    row = await checkout.find_order(session, token)
    if row is None:
        await count_wrong_link(request, limiter)
        speech = speech_of(request)
        return page(site, showing.gone(site.seller, speech, "unknown"), speech, 404)
    return _Desk(row, token, site, speech_of(request, row.locale))


@get("/orders/{token:str}/invoice", operation_id="showInvoiceRequest", include_in_schema=False)
async def show_request(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    limiter: NamedDependency[Limiter],
) -> Response[str]:
    """The form while one may ask; what became of a request; else why there is none (R106)."""
    desk = await _open(request, session, token, site, limiter)
    if isinstance(desk, Response):
        return desk
    now = await service.standing(session, checkout.order_id(desk.order), at)
    return _closed(desk, now) or _page(desk, pages.invoice_page(_form(desk, now), desk.speech))


@post("/orders/{token:str}/invoice", operation_id="askForInvoice", include_in_schema=False, status_code=200)
async def ask_for_invoice(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    limiter: NamedDependency[Limiter],
) -> Response[str]:
    """Takes the request on; pressed again it shows the same."""
    desk = await _open(request, session, token, site, limiter)
    if isinstance(desk, Response):
        return desk
    posted = str(data.get("lang", ""))
    if posted in LANGUAGES:
        desk = msgspec.structs.replace(desk, speech=speak(posted))
    order = checkout.order_id(desk.order)
    now = await service.standing(session, order, at)
    if now.state != "open":
        return _closed(desk, now) or _page(desk, pages.invoice_page(_form(desk, now), desk.speech))
    written = {name: _clean(data.get(name, ""), most) for name, most in _LONGEST.items()}
    wrong = _faults(written)
    if wrong:
        errors = tuple(pages.field_error(field, desk.speech) for field in wrong)
        form = msgspec.structs.replace(_form(desk, now), **written, errors=errors)
        return _page(desk, pages.invoice_page(form, desk.speech), 400)
    buyer = rules.buyer_of(
        name=written["name"],
        street=written["street"],
        town=written["town"],
        email=written["email"],
        nip_text=written["nip"],
    )
    row = await service.ask(session, order, buyer, site.secret, at)
    return _asked(desk, row)


def _faults(written: dict[str, str]) -> list[Field]:
    found = rules.faults_of(
        name=written["name"], street=written["street"], town=written["town"], nip_text=written["nip"]
    )
    return found if is_address(written["email"]) else [*found, "email"]


def _clean(text: object, most: int) -> str:
    """One line of what can be read, not longer than the field."""
    line = " ".join(str(text).split())
    return "".join(letter for letter in line if letter.isprintable())[:most]


def _form(desk: _Desk, now: Standing) -> InvoicePage:
    if now.paid_on is None or now.last_day is None:
        raise ValueError("there is nothing to ask for")
    return InvoicePage(
        seller=desk.site.seller,
        action=f"{desk.here}/invoice",
        back_url=desk.here,
        order_number=str(desk.order.number),
        paid_on=now.paid_on,
        gross=now.gross,
        last_day=now.last_day,
    )


def _closed(desk: _Desk, now: Standing) -> Response[str] | None:
    """The page where there is nothing to ask for any more; None while there is."""
    if now.state == "open":
        return None
    if now.asked is not None:
        return _asked(desk, now.asked)
    shown = NoInvoicePage(seller=desk.site.seller, order_url=desk.here, last_day=now.last_day)
    return _page(desk, pages.no_invoice_page(shown, desk.speech), 410 if now.state == "too_late" else 200)


def _asked(desk: _Desk, row: InvoiceRow) -> Response[str]:
    state = cast("State", row.state)
    shown = AskedPage(
        seller=desk.site.seller,
        order_number=str(desk.order.number),
        order_url=desk.here,
        state=state,
        due_on=row.due_on,
        number=row.number,
    )
    return _page(desk, pages.asked_page(shown, desk.speech))


def _page(desk: _Desk, html: str, status: int = 200) -> Response[str]:
    return page(desk.site, html, desk.speech, status)


public_pages = Router("/", route_handlers=[show_request, ask_for_invoice])
