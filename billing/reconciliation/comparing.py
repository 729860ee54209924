"""Looking at the provider's books and at ours, and doing what follows. Calls and transactions alternate.

What is paid there and not here is granted at once by the road an event would have taken, from facts read anew; so is
what our own sweeps wait for. All else becomes a case with a proposal. A second look finds nothing to do (I02).
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from billing.checkout import history as orders
from billing.kernel.db import Database
from billing.kernel.errors import Conflict
from billing.payments import history as payments
from billing.payments.facts import Checkout, DisputeFacts, ProviderError, ProviderMissing, RefundFacts
from billing.payments.gateway import Gateway
from billing.payments.gateway_books import BookedCharge, BookedPage
from billing.payments.rules import ForeignObject
from billing.reconciliation import rules, service
from billing.reconciliation.rules import AT_ONCE, GRACE
from billing.reconciliation.runs import Begun, Counts
from billing.reconciliation.service import Facts
from billing.reconciliation.values import Cause, Comparison, Finding, Ours, Theirs
from billing.withdrawals.history import disputes_open

_SECOND: Final = timedelta(seconds=1)
_PAGE, _REFUND, _SUBSCRIPTION = "cs_", "re_", "sub_"

log = structlog.get_logger(__name__)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare: all since an instant, with everything open from before it or without; or one account."""

    since: datetime
    with_open: bool = False
    account: str | None = None
    grace: timedelta = timedelta(0)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a look came to. `done` was taken on at once; `findings` are what people must decide, `opened` of them new;
    `left` could not be taken on now, for the provider did not answer."""

    findings: tuple[Finding, ...]
    done: tuple[Finding, ...] = ()
    left: tuple[Finding, ...] = ()
    foreign: tuple[str, ...] = ()
    opened: int = 0
    settled: int = 0
    abandoned: int = 0
    compared: int = 0

    @property
    def counts(self) -> Counts:
        """The same in numbers."""
        granted = sum(each.proposal == "grant" for each in self.done)
        return Counts(
            compared=self.compared, granted=granted, caught_up=len(self.done) - granted, opened=self.opened,
            settled=self.settled, not_ours=len(self.foreign), abandoned=self.abandoned,
        )  # fmt: skip


def scope_of(begun: Begun) -> Scope:
    """What a look that is made by itself compares: young things are left to their events."""
    return Scope(since=begun.since, with_open=begun.kind == "nightly", grace=GRACE)


async def tell(database: Database, gateway: Gateway, scope: Scope, at: datetime) -> Look:
    """What differs now. Writes nothing."""
    theirs = await _theirs(database, gateway, scope, at)
    comparison = await _compared(database, theirs, scope, at)
    async with database.begin() as session:
        known = await service.explained(session, comparison.findings)
    return _look(comparison, (each for each in comparison.findings if each.about not in known))


async def look(database: Database, gateway: Gateway, scope: Scope, at: datetime) -> Look:
    """Compare, grant what is paid, catch up, and open cases for the rest. Raises ProviderError when the books could not
    be read to their end: nothing was done then."""
    theirs = await _theirs(database, gateway, scope, at)
    comparison = await _compared(database, theirs, scope, at)
    at_once = [each for each in comparison.findings if each.proposal in AT_ONCE]
    refused: dict[str, Finding] = {}
    left: list[Finding] = []
    for each in at_once:
        try:
            fault = await _take_on(database, gateway, each, at)
        except ProviderError as error:
            log.warning("not_taken_on", subject=each.subject, fault=type(error).__name__)
            left.append(each)
            continue
        if fault is not None:
            refused[each.about] = fault
    if at_once:
        comparison = await _compared(database, theirs, scope, at)
    names = {each.about for each in left}
    findings = tuple(refused.get(each.about, each) for each in comparison.findings if each.about not in names)
    done = tuple(each for each in at_once if each.about not in {*refused, *names})
    async with database.begin() as session:
        known = await service.explained(session, findings)
        findings = tuple(each for each in findings if each.about not in known)
        opened = [await service.open_finding(session, each, at) for each in findings if each.proposal not in AT_ONCE]
        still = {*known, *(each.about for each in (*findings, *left))}
        settled = await service.close_gone(session, comparison.looked_at, still, at)
    return msgspec.structs.replace(
        _look(comparison, findings), done=done, left=tuple(left), opened=sum(opened), settled=settled
    )


def _look(comparison: Comparison, findings: Iterable[Finding]) -> Look:
    return Look(
        findings=tuple(findings), foreign=comparison.foreign, abandoned=comparison.abandoned,
        compared=len(comparison.looked_at),
    )  # fmt: skip


async def apply_finding(database: Database, gateway: Gateway, case: str, by: str, reason: str, at: datetime) -> str:
    """Do what a finding's case proposes, in somebody's name and for a reason, from facts read anew. Answers what came
    of it in a word. Raises UnknownCase, NotApplicable, Conflict (ended meanwhile), ProviderError (nothing was done)."""
    async with database.begin() as session:
        proposal, subject = await service.proposal_of(session, case)
    facts: RefundFacts | DisputeFacts
    if proposal == "take_on_refund":
        facts = await gateway.read_refund(subject)
    else:
        facts = await gateway.read_dispute(subject)
    payment = None if facts.payment_id is None else await gateway.read_payment(facts.payment_id)
    async with database.begin() as session:
        return await service.apply_decided(session, case, facts, payment, by, reason, at)


async def _take_on(database: Database, gateway: Gateway, finding: Finding, at: datetime) -> Finding | None:
    """Read the object anew and let its room judge it; answers what people must look at where it cannot be taken on."""
    facts = await _read(gateway, finding)
    if facts is None:
        return _for_people(finding, "foreign_object")
    try:
        async with database.begin() as session:
            outcome = await service.take_on(session, facts, finding, at)
    except Conflict as fault:
        log.warning("not_taken_on", subject=finding.subject, fault=fault.code)
        is_foreign = isinstance(fault, ForeignObject)
        return _for_people(finding, "foreign_object" if is_foreign else "amount_differs")
    if outcome == "not_ours":
        return _for_people(finding, "foreign_object")
    if isinstance(facts, Checkout) and facts.subscription_id is not None:
        # The page only tells which subscription it began; the money is told by that.
        return await _take_on(database, gateway, msgspec.structs.replace(finding, subject=facts.subscription_id), at)
    return None


def _for_people(finding: Finding, cause: Cause) -> Finding:
    return msgspec.structs.replace(finding, proposal="look", cause=cause, severity="critical")


async def _read(gateway: Gateway, finding: Finding) -> Facts | None:
    """The object as it stands; money that is owed a right is read as the page it came from."""
    subject = finding.subject
    if subject.startswith(_PAGE):
        return await gateway.read_checkout(subject)
    if subject.startswith(_REFUND):
        return await gateway.read_refund(subject)
    if subject.startswith(_SUBSCRIPTION):
        return await gateway.renewals.read_subscription(subject)
    if finding.proposal == "catch_up":
        return await gateway.read_payment(subject)
    return await gateway.checkout_of(subject)


async def _compared(database: Database, theirs: Theirs, scope: Scope, at: datetime) -> Comparison:
    async with database.begin() as session:
        if scope.account is None:
            ours = await service.ours_in(session, theirs, scope.since, at + _SECOND, at)
        else:
            ours = await service.ours_of_account(session, theirs, scope.account, at)
    return _judged(theirs, ours, scope, at)


def _judged(theirs: Theirs, ours: Ours, scope: Scope, at: datetime) -> Comparison:
    seen_until = at + _SECOND if not scope.grace else at - scope.grace
    return rules.compare(theirs, ours, seen_until=seen_until)


async def _theirs(database: Database, gateway: Gateway, scope: Scope, at: datetime) -> Theirs:
    """What the provider has in this scope, this second included."""
    if scope.account is not None:
        return await _of_account(database, gateway, scope.account)
    books, until = gateway.books, at + _SECOND
    pages, charges, refunds, disputes = await asyncio.gather(
        books.pages(scope.since, until),
        books.charges(scope.since, until),
        books.refunds(scope.since, until),
        books.disputes(scope.since, until),
    )
    async with database.begin() as session:
        expected = await payments.payments_captured(session, scope.since, until)
    there = {charge.payment_id for charge in charges}
    charges += await _begun_before(gateway, [paid.payment_id for paid in expected if paid.payment_id not in there])
    if scope.with_open:
        async with database.begin() as session:
            waiting = [order.session_id for order in await orders.orders_waiting(session, scope.since)]
            argued = await disputes_open(session, scope.since)
        shown = {page.session_id for page in pages}
        pages += await _pages(gateway, [page for page in waiting if page is not None and page not in shown])
        known = {dispute.dispute_id for dispute in disputes}
        disputes += tuple([await gateway.read_dispute(each) for each in argued if each not in known])
    return Theirs(pages=pages, charges=charges, refunds=refunds, disputes=disputes)


async def _begun_before(gateway: Gateway, names: Iterable[str]) -> tuple[BookedCharge, ...]:
    """Money that came in the stretch of a look may have been begun before it: a bank takes days. Read one by one."""
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
