"""The provider's books in parts that fit in memory, whatever a season's busiest weeks bring; the newest come first."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from billing.checkout import history as orders
from billing.kernel.db import Database
from billing.payments import history as payments
from billing.payments.facts import Checkout, ProviderMissing
from billing.payments.gateway import Gateway
from billing.payments.gateway_books import BookedCharge, BookedPage
from billing.reconciliation import service
from billing.reconciliation.values import Part, Span, Theirs
from billing.withdrawals.history import disputes_open

AT_ONCE: Final = 20_000

_SECOND: Final = timedelta(seconds=1)

log = structlog.get_logger(__name__)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare: all since an instant, with everything open from before it or without; or one account. About
    `at_once` payment pages and charges are compared at once; those of one second stay together."""

    since: datetime
    with_open: bool = False
    account: str | None = None
    grace: timedelta = timedelta(0)
    at_once: int = AT_ONCE


async def parts_of(database: Database, gateway: Gateway, scope: Scope, at: datetime) -> AsyncGenerator[Part]:
    """What the provider has in this scope, this second included: first the money that came, then what went back and
    what is argued over. Raises ProviderError; a part that was told is whole."""
    if scope.account is not None:
        yield Part(theirs=await _of_account(database, gateway, scope.account), account=scope.account)
        return
    books, span = gateway.books, Span(scope.since, at + _SECOND)
    async with aclosing(books.pages(*span)) as pages, aclosing(books.charges(*span)) as charges:
        async for within, found in in_spans(newest_first(pages, charges), span, scope.at_once):
            yield await _money_in(database, gateway, within, found)
    yield await _money_back(database, gateway, scope, span)


async def newest_first(
    pages: AsyncIterator[BookedPage], charges: AsyncIterator[BookedCharge]
) -> AsyncGenerator[BookedPage | BookedCharge]:
    """Two lists, each newest first, as one."""
    page, charge = await anext(pages, None), await anext(charges, None)
    while page is not None or charge is not None:
        if page is not None and (charge is None or page.created_at >= charge.created_at):
            yield page
            page = await anext(pages, None)
        elif charge is not None:
            yield charge
            charge = await anext(charges, None)


async def in_spans(
    found: AsyncIterator[BookedPage | BookedCharge], span: Span, most: int
) -> AsyncGenerator[tuple[Span, list[BookedPage | BookedCharge]]]:
    """Cut what was made in a span of time, newest first, into spans of about `most`; together they are the whole."""
    taken: list[BookedPage | BookedCharge] = []
    until = span.until
    async for each in found:
        if len(taken) >= most and each.created_at < taken[-1].created_at:
            since = taken[-1].created_at
            yield Span(since, until), taken
            until, taken = since, []
        taken.append(each)
    yield Span(span.since, until), taken


async def _money_in(
    database: Database, gateway: Gateway, within: Span, found: Collection[BookedPage | BookedCharge]
) -> Part:
    """Pages and charges of a span, and what of the money that came in it was begun before."""
    charges = tuple(each for each in found if isinstance(each, BookedCharge))
    async with database.begin() as session:
        expected = await payments.payments_captured(session, *within)
    there = {charge.payment_id for charge in charges}
    before = await _begun_before(gateway, [paid.payment_id for paid in expected if paid.payment_id not in there])
    pages = tuple(each for each in found if isinstance(each, BookedPage))
    return Part(theirs=Theirs(pages=pages, charges=charges + before), paid_in=within)


async def _money_back(database: Database, gateway: Gateway, scope: Scope, span: Span) -> Part:
    """Refunds and disputes of a span; with them, where asked for, all that is open from before it."""
    refunds, disputes = await gateway.books.refunds(*span), await gateway.books.disputes(*span)
    pages: tuple[BookedPage, ...] = ()
    if scope.with_open:
        async with database.begin() as session:
            waiting = [order.session_id for order in await orders.orders_waiting(session, scope.since)]
            argued = await disputes_open(session, scope.since)
        pages = await _pages(gateway, [page for page in waiting if page is not None])
        known = {dispute.dispute_id for dispute in disputes}
        disputes += tuple([await gateway.read_dispute(each) for each in argued if each not in known])
    return Part(theirs=Theirs(pages=pages, refunds=refunds, disputes=disputes), refunded_in=span)


async def _begun_before(gateway: Gateway, names: Iterable[str]) -> tuple[BookedCharge, ...]:
    """Money that came in a span of time may have been begun before it: a bank takes days. Read one by one."""
    found: list[BookedCharge] = []
    for name in names:
        try:
            found += (await gateway.books.of_payment(name)).charges
        except ProviderMissing:
            log.warning("payment_gone", payment=name)
    return tuple(found)


async def _of_account(database: Database, gateway: Gateway, account: str) -> Theirs:
    """All about one account's orders, whenever they were."""
    async with database.begin() as session:
        names, paid = await service.subjects_of_account(session, account)
    pages = await _pages(gateway, names)
    about = {*paid, *(page.payment_id for page in pages if page.payment_id is not None)}
    found = [await gateway.books.of_payment(payment) for payment in sorted(about)]
    return Theirs(
        pages=pages,
        charges=tuple(charge for each in found for charge in each.charges),
        refunds=tuple(refund for each in found for refund in each.refunds),
        disputes=tuple(dispute for each in found for dispute in each.disputes),
    )


async def _pages(gateway: Gateway, names: Iterable[str]) -> tuple[BookedPage, ...]:
    """Some payment pages, as their list would tell them; one that is gone is left out."""
    found: list[BookedPage] = []
    for name in names:
        try:
            found.append(_booked(await gateway.read_checkout(name)))
        except ProviderMissing:
            log.warning("page_gone", session=name)
    return tuple(found)


def _booked(page: Checkout) -> BookedPage:
    return BookedPage(
        session_id=page.session_id, status=page.status, payment_status=page.payment_status, reference=page.reference,
        order=page.order, amount=page.amount_total, currency=page.currency, created_at=page.created_at,
        payment_id=None if page.payment is None else page.payment.payment_id, payment_failed=page.payment_failed,
    )  # fmt: skip
