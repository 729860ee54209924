"""Answering many questions at once: one reading of the store, and a bad question spoils only its own answer."""

from datetime import datetime
from typing import Literal, cast

from billing.kernel.errors import BillingError, Malformed, Unavailable
from entitlements.answers import CheckFailed, CheckResults, CompactResults, DecisionAnswer, Origin, failed, result
from entitlements.decision import Channel, Decision, StaleDecision, decide_by_facts, free_decision, free_reason
from entitlements.facts import AccountFacts, UnknownAccount
from entitlements.features import FeatureList, UnknownFeature
from entitlements.judging import judge as judge_one
from entitlements.questions import BadCheck, Batch, Check, PlainBatch, PlainCheck

Verdict = Decision | BillingError


class MalformedCheck(Malformed):
    """One question of a batch cannot be understood."""

    code = "malformed_check"


def settle(features: FeatureList, batch: Batch) -> list[Verdict | None]:
    """Answer what needs no facts: basic features, the browser, and what cannot be understood (I06). None: must read."""
    free: dict[str, Literal["basic", "browser"] | UnknownFeature | None] = {}
    settled: list[Verdict | None] = []
    for check in batch.checks:
        if isinstance(check, BadCheck):
            settled.append(MalformedCheck(check.detail))
            continue
        feature = check.feature
        if feature not in free:
            free[feature] = _free(features, feature, batch.channel)
        reason = free[feature]
        settled.append(free_decision(check.pupil, feature, reason) if isinstance(reason, str) else reason)
    return settled


def accounts_to_read(batch: Batch, settled: list[Verdict | None]) -> set[str]:
    """Whose facts the open questions need."""
    pairs = zip(batch.checks, settled, strict=True)
    return {cast("Check", check).account for check, verdict in pairs if verdict is None}


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
            account = None if isinstance(known, Unavailable) else known.get(check.account)
            verdicts.append(
                _judged(features, check, account, batch.channel, at, now) if account else _missing(check, known)
            )
    return verdicts


def full(batch: Batch | PlainBatch, verdicts: list[Verdict], at: datetime) -> CheckResults:
    """A decision or an error for each question."""
    return CheckResults(at, [_told(batch.channel, *pair, at) for pair in zip(batch.checks, verdicts, strict=True)])


def compact(verdicts: list[Verdict], at: datetime) -> CompactResults:
    """Yes, no or null for each question."""
    allowed: list[bool | None] = []
    changes_at: datetime | None = None
    source: Origin = "live"
    for each in verdicts:
        if isinstance(each, BillingError):
            allowed.append(None)
            continue
        allowed.append(each.allowed)
        if each.valid_until is not None and (changes_at is None or each.valid_until < changes_at):
            changes_at = each.valid_until
        if isinstance(each, StaleDecision):
            source = "stale"
    return CompactResults(at, changes_at, source, allowed)


def _free(features: FeatureList, feature: str, channel: Channel) -> Literal["basic", "browser"] | UnknownFeature | None:
    try:
        return free_reason(features, feature, channel)
    except UnknownFeature as fault:
        return fault


def _missing(check: Check, known: dict[str, AccountFacts] | Unavailable) -> BillingError:
    return known if isinstance(known, Unavailable) else UnknownAccount(check.account)


def _judged(
    features: FeatureList, check: Check, account: AccountFacts, channel: Channel, at: datetime, now: datetime
) -> Verdict:
    try:
        pupil = account.of(check.pupil)
        if account.stale:
            return judge_one(features, account, pupil, check.feature, channel, at, now)
        return decide_by_facts(pupil, check.feature, at, now)
    except BillingError as fault:
        return fault


def _told(
    channel: Channel, check: Check | PlainCheck | BadCheck, verdict: Verdict, at: datetime
) -> DecisionAnswer | CheckFailed:
    if isinstance(verdict, BillingError):
        return failed(verdict)
    return result("" if isinstance(check, BadCheck) else check.account, channel, verdict, at)
