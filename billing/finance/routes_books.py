"""What the books say: service still owed, what was paid out, and when we last compared with the provider."""

from datetime import datetime
from typing import Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.rules import season_of
from billing.catalog.values import Catalogue
from billing.finance import pages
from billing.finance.queries import money
from billing.finance.routes_door import EXCEPTION_HANDLERS, answer, frame_of, requires_role, staff_of
from billing.finance.routes_invoices import invoices_router
from billing.finance.service import note_view
from billing.kernel.days import day_of, end_of, start_of
from billing.kernel.web import AnyRequest
from billing.ledger import reports
from billing.reconciliation import payouts, runs

_MOST = 50


@get("/books", operation_id="staffBooks", include_in_schema=False)
async def show_books(
    request: AnyRequest,
    session: NamedDependency[AsyncSession],
    catalogue: NamedDependency[Catalogue],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """Deferred revenue by month (R114), refunds by reason (R79), payouts (R112), comparisons with Stripe (I02)."""
    season = season_of(day_of(at), catalogue.season)
    months = await reports.by_month(session, season.first_day, season.last_day)
    note_view(session, staff_of(request), "finance:books", at)
    html = pages.show(
        "books.html",
        frame_of(request),
        season=season.label,
        months=months,
        returned=await money.by_reason(session, start_of(season.first_day), end_of(season.last_day)),
        payouts=await payouts.payouts(session, _MOST),
        runs=await runs.runs(session, _MOST),
    )
    return answer(request, html)


books_router = Router(
    "/finance",
    route_handlers=[show_books, invoices_router],
    guards=[requires_role],
    exception_handlers=EXCEPTION_HANDLERS,
)
