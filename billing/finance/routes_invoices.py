"""Requests for invoices: who waits until when, handing them to the invoicing system, and its documents (R107, R108)."""

from datetime import date, datetime
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.catalog.values import Catalogue
from billing.finance import csv_text, pages, rules
from billing.finance.routes_door import answer, check_form, frame_of, go_done, staff_of
from billing.finance.service import note_view
from billing.invoices import handing, service
from billing.invoices.documents import Seller
from billing.kernel.days import day_of
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Site

_AT_ONCE = 100
"""So many requests are handed over by one press of the button."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the page shows it; `gross` in grosz. `buyer` is personal data, and looking at it is noted."""

    id: str
    kind: str
    state: str
    order: str
    case: str | None
    buyer: str
    buyer_kind: str
    due_on: date
    is_late: bool
    gross: int


def _seller(catalogue: Catalogue) -> Seller:
    return Seller(nip=catalogue.seller.nip, name=catalogue.seller.name, address=catalogue.seller.address)


async def _requests(session: AsyncSession, secret: str, at: datetime) -> list[Request]:
    found: list[Request] = []
    for row in await service.waiting(session):
        name = service.invoice_id(row)
        case = await cases.case_about(session, "invoice_request", name)
        made = Request(
            id=name, kind=row.kind, state=row.state, order=row.order_id, case=cases.case_id(case) if case else None,
            buyer=service.buyer_in(row, secret).name, buyer_kind=row.buyer_kind, due_on=row.due_on,
            is_late=row.due_on < day_of(at), gross=row.gross,
        )  # fmt: skip
        found.append(made)
    return found


@get("/invoices", operation_id="staffInvoices", include_in_schema=False)
async def show_invoices(
    request: AnyRequest, session: NamedDependency[AsyncSession], site: NamedDependency[Site],
    at: NamedDependency[datetime],
) -> Response[Any]:  # fmt: skip
    """What is neither issued nor refused, the nearest due first."""
    found = await _requests(session, site.secret, at)
    staff = staff_of(request)
    note_view(session, staff, "finance:invoices", at, rows=len(found))
    html = pages.show(
        "invoices.html",
        frame_of(request),
        requests=found,
        waiting=sum(each.state == "requested" for each in found),
        has_documents=any(each.state == "handed_over" for each in found),
        may_hand_over=rules.may(staff.role, "POST", "/finance/invoices"),
    )
    return answer(request, html)


@post("/invoices", operation_id="staffHandOver", include_in_schema=False, status_code=303)
async def hand_over(
    request: AnyRequest, session: NamedDependency[AsyncSession], site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue], at: NamedDependency[datetime],
) -> Response[Any]:  # fmt: skip
    """Marks what waits as handed over, by name; the documents are downloaded after, as often as they are needed."""
    await check_form(request)
    actor = staff_of(request).actor
    made = await handing.hand_over(session, _seller(catalogue), site.secret, at, _AT_ONCE, actor=actor)
    return go_done(request, "/finance/invoices", "done_handed_over" if made else "done_nothing")


@get("/invoices.ndjson", operation_id="staffDocuments", include_in_schema=False)
async def documents(
    request: AnyRequest, session: NamedDependency[AsyncSession], site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue], at: NamedDependency[datetime],
) -> Response[bytes]:  # fmt: skip
    """The documents of all that was handed over and is not issued yet, one JSON a line, as the operator's tool prints
    them."""
    made = await handing.handed_over(session, _seller(catalogue), site.secret)
    note_view(session, staff_of(request), "finance:invoice_documents", at, rows=len(made))
    name = csv_text.file_name("faktury-do-wystawienia", day_of(at), "ndjson")
    headers = {**pages.HEADERS, "Content-Disposition": name}
    return Response(msgspec.json.Encoder().encode_lines(made), media_type="application/x-ndjson", headers=headers)


invoices_router = Router("/", route_handlers=[show_invoices, hand_over, documents])
"""Stands below `/finance`, behind the guard of the books."""
