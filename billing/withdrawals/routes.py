"""The pages on which the holder of an order's link withdraws: a form, a summary, one button. No login, no script."""

from datetime import datetime
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
from billing.checkout import showing
from billing.checkout.pages_withdrawal import WithdrawalClosedPage, WithdrawalPage, WithdrawnPage
from billing.checkout.service import Order
from billing.kernel.days import day_of
from billing.kernel.limits import Limiter
from billing.kernel.speech import LANGUAGES, Speech, speak
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Site, count_wrong_link, page, speech_of
from billing.withdrawals import rules, withdrawing
from billing.withdrawals.withdrawing import Declared, Withdrawal

CONFIRM = "confirm"
_LONGEST = {"name": 200, "contact": 254, "reason": 2000}


class _Desk(msgspec.Struct, frozen=True):
    """An order whose link is good, and all that is needed to show its pages."""

    order: Order
    token: str
    site: Site
    catalogue: Catalogue
    speech: Speech

    @property
    def here(self) -> str:
        """The order's own page."""
        return f"/orders/{self.token}"


async def _open(
    request: AnyRequest, session: AsyncSession, token: str, site: Site, catalogue: Catalogue, limiter: Limiter
) -> _Desk | Response[str]:
    """The order behind a link, or the page that helps; guesses are counted (R39)."""
    row = await checkout.find_order(session, token)
    if row is None:
        await count_wrong_link(request, limiter)
        speech = speech_of(request)
        return page(site, showing.gone(site.seller, speech, "unknown"), speech, 404)
    return _Desk(row, token, site, catalogue, speech_of(request, row.locale))


@get("/orders/{token:str}/withdrawal", operation_id="showWithdrawal", include_in_schema=False)
async def show_withdrawal(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
    limiter: NamedDependency[Limiter],
) -> Response[str]:
    """The first step; once done, what became of it; after the last day a polite no. Opening it does nothing (I27)."""
    desk = await _open(request, session, token, site, catalogue, limiter)
    if isinstance(desk, Response):
        return desk
    over = await _over(session, desk, at)
    if over is not None:
        return over
    return _page(desk, pages.withdrawal_page(_form(desk), desk.speech))


@post("/orders/{token:str}/withdrawal", operation_id="withdraw", include_in_schema=False, status_code=200)
async def withdraw(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
    catalogue: NamedDependency[Catalogue],
    limiter: NamedDependency[Limiter],
) -> Response[str]:
    """From the form to the summary; from the summary's button to the withdrawal, which a second press finds done."""
    desk = await _open(request, session, token, site, catalogue, limiter)
    if isinstance(desk, Response):
        return desk
    posted = str(data.get("lang", ""))
    if posted in LANGUAGES:
        desk = msgspec.structs.replace(desk, speech=speak(posted))
    over = await _over(session, desk, at)
    is_late = over is not None and desk.order.withdrawn_at is None
    if over is not None and not (is_late and data.get("step") == CONFIRM):
        return over
    written = {name: _clean(data.get(name, ""), most) for name, most in _LONGEST.items()}
    form = msgspec.structs.replace(_form(desk), **written)
    errors = tuple(pages.blank_field_error(field, desk.speech) for field in _faults(form))
    if errors:
        return _page(desk, pages.withdrawal_page(msgspec.structs.replace(form, errors=errors), desk.speech), 400)
    if data.get("step") != CONFIRM:
        return _page(desk, pages.confirm_withdrawal_page(form, desk.speech))
    terms = withdrawing.terms_of(catalogue, site.secret)
    told = Declared(name=form.name, contact=form.contact, reason=form.reason)
    order = checkout.order_id(desk.order)
    taken = await withdrawing.withdraw(session, order, told, terms, at, locale=desk.speech.locale)
    return _closed(desk) if taken.state == "late" else _withdrawn(desk, taken)


async def _over(session: AsyncSession, desk: _Desk, at: datetime) -> Response[str] | None:
    """The page of an order that has been withdrawn from, or cannot be any more."""
    if desk.order.withdrawn_at is not None:
        taken = await withdrawing.of_order(session, desk.order.id)
        if taken is not None:
            return _withdrawn(desk, taken)
    last = withdrawing.last_day_of(desk.order, desk.catalogue.order.withdrawal_days)
    return _closed(desk) if rules.judge(day_of(at), last) == "late" else None


def _form(desk: _Desk) -> WithdrawalPage:
    order = desk.order
    return WithdrawalPage(
        seller=desk.site.seller,
        action=f"{desk.here}/withdrawal",
        back_url=desk.here,
        order_number=str(order.number),
        last_day=withdrawing.last_day_of(order, desk.catalogue.order.withdrawal_days),
        total=order.total,
        full_refund=desk.catalogue.order.refund_policy == "full",
    )


def _clean(text: object, most: int) -> str:
    """One line of what can be read, not longer than the field."""
    line = " ".join(str(text).split())
    return "".join(letter for letter in line if letter.isprintable())[:most]


def _faults(form: WithdrawalPage) -> list[pages.Field]:
    """What is missing of the two things that are needed (R70)."""
    found: list[pages.Field] = [] if form.name else ["name"]
    return found if is_address(form.contact) else [*found, "contact"]


def _withdrawn(desk: _Desk, taken: Withdrawal) -> Response[str]:
    shown = WithdrawnPage(
        seller=desk.site.seller,
        order_number=str(desk.order.number),
        received_at=taken.received_at,
        refund=taken.refund,
        kept=taken.kept,
        order_url=desk.here,
    )
    return _page(desk, pages.withdrawn_page(shown, desk.speech))


def _closed(desk: _Desk) -> Response[str]:
    last = withdrawing.last_day_of(desk.order, desk.catalogue.order.withdrawal_days)
    shown = WithdrawalClosedPage(seller=desk.site.seller, last_day=last, order_url=desk.here)
    return _page(desk, pages.withdrawal_closed_page(shown, desk.speech))


def _page(desk: _Desk, html: str, status: int = 200) -> Response[str]:
    return page(desk.site, html, desk.speech, status)


public_pages = Router("/", route_handlers=[show_withdrawal, withdraw])
