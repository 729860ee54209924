"""Looking at the provider's books and at ours, and doing what follows. Calls and transactions alternate.

What is paid there and not here is granted at once by the road an event would have taken, from facts read anew; so is
what our own sweeps wait for. All else becomes a case with a proposal. A second look finds nothing to do (I02).
"""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from billing.kernel.db import Database
from billing.kernel.errors import Conflict
from billing.payments.facts import Checkout, DisputeFacts, ProviderError, RefundFacts
from billing.payments.gateway import Gateway
from billing.payments.rules import ForeignObject
from billing.reconciliation import rules, service
from billing.reconciliation.reading import Scope, parts_of
from billing.reconciliation.rules import AT_ONCE, GRACE
from billing.reconciliation.runs import Begun, Counts
from billing.reconciliation.service import Facts
from billing.reconciliation.values import Cause, Comparison, Finding, Part

_SECOND: Final = timedelta(seconds=1)
_PAGE, _REFUND, _SUBSCRIPTION = "cs_", "re_", "sub_"

log = structlog.get_logger(__name__)


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
    looks: list[Look] = []
    async with aclosing(parts_of(database, gateway, scope, at)) as parts:
        async for part in parts:
            comparison = await _compared(database, part, scope, at)
            async with database.begin() as session:
                known = await service.explained(session, comparison.findings)
            looks.append(_look(comparison, (each for each in comparison.findings if each.about not in known)))
    return _together(looks)


async def look(database: Database, gateway: Gateway, scope: Scope, at: datetime) -> Look:
    """Compare, grant what is paid, catch up, and open cases for the rest, one part of the books after the other. Raises
    ProviderError when the books could not be read to their end: what was done of the parts before stays done."""
    async with database.begin() as session:
        waiting = await service.subjects_waiting(session)
    looks: list[Look] = []
    seen: set[str] = set()
    async with aclosing(parts_of(database, gateway, scope, at)) as parts:
        async for part in parts:
            found, looked_at = await _deal_with(database, gateway, part, scope, at)
            looks.append(found)
            seen |= looked_at & waiting
    whole = _together(looks)
    still = {each.about for each in (*whole.findings, *whole.left)}
    async with database.begin() as session:
        settled = await service.close_gone(session, seen, still, at)
    return msgspec.structs.replace(whole, settled=settled)


async def _deal_with(
    database: Database, gateway: Gateway, part: Part, scope: Scope, at: datetime
) -> tuple[Look, frozenset[str]]:
    """Do what follows from a part of the books; answers with it what was looked at."""
    comparison = await _compared(database, part, scope, at)
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
        comparison = await _compared(database, part, scope, at)
    names = {each.about for each in left}
    findings = tuple(refused.get(each.about, each) for each in comparison.findings if each.about not in names)
    done = tuple(each for each in at_once if each.about not in {*refused, *names})
    async with database.begin() as session:
        known = await service.explained(session, findings)
        findings = tuple(each for each in findings if each.about not in known)
        opened = [await service.open_finding(session, each, at) for each in findings if each.proposal not in AT_ONCE]
    found = msgspec.structs.replace(_look(comparison, findings), done=done, left=tuple(left), opened=sum(opened))
    return found, comparison.looked_at


def _together(looks: Iterable[Look]) -> Look:
    """Looks at parts of the books as one; what two parts tell of is told once."""
    told = list(looks)
    return Look(
        findings=_each_once(each for one in told for each in one.findings),
        done=_each_once(each for one in told for each in one.done),
        left=_each_once(each for one in told for each in one.left),
        foreign=tuple(name for one in told for name in one.foreign),
        opened=sum(one.opened for one in told), abandoned=sum(one.abandoned for one in told),
        compared=sum(one.compared for one in told),
    )  # fmt: skip


def _each_once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What was told first counts: a charge is newer than its page, and says more."""
    told: dict[str, Finding] = {}
    for each in findings:
        told.setdefault(each.about, each)
    return tuple(sorted(told.values(), key=lambda each: (each.at, each.about)))


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


async def _compared(database: Database, part: Part, scope: Scope, at: datetime) -> Comparison:
    async with database.begin() as session:
        ours = await service.ours_of(session, part, at)
    seen_until = at + _SECOND if not scope.grace else at - scope.grace
    return rules.compare(part.theirs, ours, seen_until=seen_until)
