"""Answering many questions at once: one reading of the store, and a bad question spoils only its own answer."""

from datetime import datetime

from billing.kernel.errors import BillingError, Malformed, Unavailable
from entitlements.answers import CheckFailed, CheckResults, CompactResults, DecisionAnswer, failed, result
from entitlements.decision import Decision, decide, earliest_change, free_decision, free_reason
from entitlements.facts import AccountFacts, PupilRequired, UnknownAccount
from entitlements.features import FeatureList, UnknownFeature
from entitlements.questions import BadCheck, Batch, Check

Verdict = Decision | BillingError


class MalformedCheck(Malformed):
    """One question of a batch cannot be understood."""

    code = "malformed_check"


def settle(features: FeatureList, batch: Batch) -> list[Verdict | None]:
    """Answer what needs no facts: basic features, the browser, and what cannot be understood (I06). None: must read."""
    return [_settled(features, batch, check) for check in batch.checks]


def accounts_to_read(batch: Batch, settled: list[Verdict | None]) -> set[str]:
    """Whose facts the open questions need."""
    pairs = zip(batch.checks, settled, strict=True)
    return {check.account for check, verdict in pairs if verdict is None and isinstance(check, Check)}


def judge(
    features: FeatureList,
    batch: Batch,
    settled: list[Verdict | None],
    known: dict[str, AccountFacts] | Unavailable,
    at: datetime,
    now: datetime,
) -> list[Verdict]:
    """One verdict for each question, in their order. Where the store did not answer, the open ones say so."""
    verdicts: list[Verdict] = []
    for check, verdict in zip(batch.checks, settled, strict=True):
        if verdict is not None:
            verdicts.append(verdict)
        elif isinstance(check, Check):
            verdicts.append(_judged(features, batch, check, known, at, now))
    return verdicts


def full(batch: Batch, verdicts: list[Verdict], at: datetime) -> CheckResults:
    """A decision or an error for each question."""
    return CheckResults(at, [_told(batch, *pair, at) for pair in zip(batch.checks, verdicts, strict=True)])


def compact(verdicts: list[Verdict], at: datetime) -> CompactResults:
    """Yes, no or null for each question."""
    decisions = [each for each in verdicts if isinstance(each, Decision)]
    allowed = [each.allowed if isinstance(each, Decision) else None for each in verdicts]
    return CompactResults(at, earliest_change(decisions), allowed)


def _settled(features: FeatureList, batch: Batch, check: Check | BadCheck) -> Verdict | None:
    if isinstance(check, BadCheck):
        return MalformedCheck(check.detail)
    try:
        free = free_reason(features, check.feature, batch.channel)
    except UnknownFeature as fault:
        return fault
    return None if free is None else free_decision(check.pupil, check.feature, free)


def _judged(
    features: FeatureList,
    batch: Batch,
    check: Check,
    known: dict[str, AccountFacts] | Unavailable,
    at: datetime,
    now: datetime,
) -> Verdict:
    if isinstance(known, Unavailable):
        return known
    account = known.get(check.account)
    if account is None:
        return UnknownAccount(check.account)
    try:
        return decide(features, account.of(check.pupil), check.feature, batch.channel, at, now)
    except PupilRequired as fault:
        return fault


def _told(batch: Batch, check: Check | BadCheck, verdict: Verdict, at: datetime) -> DecisionAnswer | CheckFailed:
    if isinstance(verdict, BillingError):
        return failed(verdict)
    return result(check.account if isinstance(check, Check) else "", batch.channel, verdict, at)
