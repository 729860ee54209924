"""The pages on which the holder of an order's link withdraws: a form, a summary, one button. No login, no script."""

from datetime import date, datetime
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.rules import is_address
from billing.catalog.values import Catalogue
from billing.checkout import pages_withdrawal as pages
from billing.checkout import service as checkout
from billing.checkout.opening import Desk, open_order
from billing.checkout.pages_withdrawal import WithdrawalClosedPage, WithdrawalPage, WithdrawnPage
from billing.kernel.days import day_of
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Html, Site, written
from billing.withdrawals import rules, withdrawing
from billing.withdrawals.withdrawing import Declared, Withdrawal

CONFIRM = "confirm"
_LONGEST = {"name": 200, "contact": 254, "reason": 2000}


@get("/orders/{token:str}/withdrawal", operation_id="showWithdrawal", include_in_schema=False)
async def show_withdrawal(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
) -> Html:
    """The first step; once done, what became of it; after the last day a polite no. Opening it does nothing (I27)."""
    desk = await open_order(request, session, token, site)
    if isinstance(desk, Response):
        return desk
    over = await _over(session, desk, catalogue, at)
    if over is not None:
        return over
    return desk.answer(pages.withdrawal_page(_form(desk, catalogue), desk.speech))


@post("/orders/{token:str}/withdrawal", operation_id="withdraw", include_in_schema=False, status_code=200)
async def withdraw(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
) -> Html:
    """From the form to the summary; from the summary's button to the withdrawal, which a second press finds done."""
    desk = await open_order(request, session, token, site, data)
    if isinstance(desk, Response):
        return desk
    over = await _over(session, desk, catalogue, at)
    is_late = over is not None and desk.order.withdrawn_at is None
    if over is not None and not (is_late and data.get("step") == CONFIRM):
        return over
    form = msgspec.structs.replace(_form(desk, catalogue), **written(data, _LONGEST))
    errors = tuple(pages.blank_field_error(field, desk.speech) for field in _faults(form))
    if errors:
        return desk.answer(pages.withdrawal_page(msgspec.structs.replace(form, errors=errors), desk.speech), 400)
    if data.get("step") != CONFIRM:
        return desk.answer(pages.confirm_withdrawal_page(form, desk.speech))
    terms = withdrawing.terms_of(catalogue, site.secret)
    told = Declared(name=form.name, contact=form.contact, reason=form.reason)
    order = checkout.order_id(desk.order)
    taken = await withdrawing.withdraw(session, order, told, terms, at, locale=desk.speech.locale)
    return _closed(desk, form.last_day) if taken.state == "late" else _withdrawn(desk, taken)


async def _over(session: AsyncSession, desk: Desk, catalogue: Catalogue, at: datetime) -> Html | None:
    """The page of an order that has been withdrawn from, or cannot be any more."""
    if desk.order.withdrawn_at is not None:
        taken = await withdrawing.of_order(session, desk.order.id)
        if taken is not None:
            return _withdrawn(desk, taken)
    last = withdrawing.last_day_of(desk.order, catalogue.order.withdrawal_days)
    return _closed(desk, last) if rules.judge(day_of(at), last) == "late" else None


def _form(desk: Desk, catalogue: Catalogue) -> WithdrawalPage:
    order = desk.order
    return WithdrawalPage(
        seller=desk.site.seller,
        action=f"{desk.here}/withdrawal",
        back_url=desk.here,
        order_number=str(order.number),
        last_day=withdrawing.last_day_of(order, catalogue.order.withdrawal_days),
        total=order.total,
        full_refund=catalogue.order.refund_policy == "full",
    )


def _faults(form: WithdrawalPage) -> list[pages.Field]:
    """What is missing of the two things that are needed (R70)."""
    found: list[pages.Field] = [] if form.name else ["name"]
    return found if is_address(form.contact) else [*found, "contact"]


def _withdrawn(desk: Desk, taken: Withdrawal) -> Html:
    shown = WithdrawnPage(
        seller=desk.site.seller,
        order_number=str(desk.order.number),
        received_at=taken.received_at,
        refund=taken.refund,
        kept=taken.kept,
        order_url=desk.here,
    )
    return desk.answer(pages.withdrawn_page(shown, desk.speech))


def _closed(desk: Desk, last: date) -> Html:
    shown = WithdrawalClosedPage(seller=desk.site.seller, last_day=last, order_url=desk.here)
    return desk.answer(pages.withdrawal_closed_page(shown, desk.speech))


public_pages = Router("/", route_handlers=[show_withdrawal, withdraw])
