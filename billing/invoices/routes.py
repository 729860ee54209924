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
from billing.checkout.opening import Desk, open_order
from billing.invoices import pages, rules, service
from billing.invoices.pages import AskedPage, InvoicePage, NoInvoicePage
from billing.invoices.rules import Field, State
from billing.invoices.service import Standing
from billing.invoices.tables import InvoiceRow
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Html, Site, written

_LONGEST = {"name": 200, "street": 200, "town": 100, "email": 254, "nip": 20}


@get("/orders/{token:str}/invoice", operation_id="showInvoiceRequest", include_in_schema=False)
async def show_request(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
) -> Html:
    """The form while one may ask; what became of a request; else why there is none (R106)."""
    desk = await open_order(request, session, token, site)
    if isinstance(desk, Response):
        return desk
    now = await service.standing(session, checkout.order_id(desk.order), at)
    return _closed(desk, now) or desk.answer(pages.invoice_page(_form(desk, now), desk.speech))


@post("/orders/{token:str}/invoice", operation_id="askForInvoice", include_in_schema=False, status_code=200)
async def ask_for_invoice(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
) -> Html:
    """Takes the request on; pressed again it shows the same."""
    desk = await open_order(request, session, token, site, data)
    if isinstance(desk, Response):
        return desk
    order = checkout.order_id(desk.order)
    now = await service.standing(session, order, at)
    closed = _closed(desk, now)
    if closed is not None:
        return closed
    said = written(data, _LONGEST)
    wrong = _faults(said)
    if wrong:
        errors = tuple(pages.field_error(field, desk.speech) for field in wrong)
        form = msgspec.structs.replace(_form(desk, now), **said, errors=errors)
        return desk.answer(pages.invoice_page(form, desk.speech), 400)
    buyer = rules.buyer_of(
        name=said["name"],
        street=said["street"],
        town=said["town"],
        email=said["email"],
        nip_text=said["nip"],
    )
    row = await service.ask(session, order, buyer, site.secret, at)
    return _asked(desk, row)


def _faults(said: dict[str, str]) -> list[Field]:
    found = rules.faults_of(name=said["name"], street=said["street"], town=said["town"], nip_text=said["nip"])
    return found if is_address(said["email"]) else [*found, "email"]


def _form(desk: Desk, now: Standing) -> InvoicePage:
    if now.sale is None or now.held is None or now.last_day is None:
        raise ValueError("there is nothing to ask for")
    return InvoicePage(
        seller=desk.site.seller,
        action=f"{desk.here}/invoice",
        back_url=desk.here,
        order_number=str(desk.order.number),
        paid_on=now.sale.sold_on,
        gross=now.held.gross,
        last_day=now.last_day,
    )


def _closed(desk: Desk, now: Standing) -> Html | None:
    """The page where there is nothing to ask for any more; None while there is."""
    if now.state == "open":
        return None
    if now.asked is not None:
        return _asked(desk, now.asked)
    shown = NoInvoicePage(seller=desk.site.seller, order_url=desk.here, last_day=now.last_day)
    return desk.answer(pages.no_invoice_page(shown, desk.speech), 410 if now.state == "too_late" else 200)


def _asked(desk: Desk, row: InvoiceRow) -> Html:
    state = cast("State", row.state)
    shown = AskedPage(
        seller=desk.site.seller,
        order_number=str(desk.order.number),
        order_url=desk.here,
        state=state,
        due_on=row.due_on,
        number=row.number,
    )
    return desk.answer(pages.asked_page(shown, desk.speech))


public_pages = Router("/", route_handlers=[show_request, ask_for_invoice])
