"""How answers look outside, and how long they may be kept."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal

import msgspec

from billing.kernel.errors import BillingError
from entitlements.decision import Channel, Decision, Reason, StaleDecision
from entitlements.facts import Holding

LONGEST_KEPT = 30
"""Seconds an app may keep a yes without asking again: how late it may learn of a block or a withdrawal."""
LONGEST_REFUSED = 5
"""Seconds an app may keep a no: nobody who has just paid stays locked out longer (I08)."""
KEPT_IN_OUTAGE = 86_400
"""Seconds an app may go on with its last answer while we fail (RFC 5861)."""

Origin = Literal["live", "stale"]
"""`stale`: the last that was known, told while nobody can know whether it still is so; never to be kept (I07)."""

_LONGEST = timedelta(seconds=max(LONGEST_KEPT, LONGEST_REFUSED))
_TAGS = re.compile(r'(?:W/)?("[^"]*")')
_encoder = msgspec.json.Encoder()


class _DecisionFacts(msgspec.Struct, frozen=True, gc=False, tag_field="object", tag="decision"):
    """A decision without the instant at which it was made, so that equal decisions are equal bytes."""

    account: str
    pupil: str | None
    feature: str
    channel: Channel
    allowed: bool
    reason: Reason
    valid_until: datetime | None
    sources: tuple[Holding, ...]
    reverts_to: Literal["basic"]
    free_in_browser: Literal[True]
    notice_pending: bool
    source: Origin


class DecisionAnswer(_DecisionFacts, frozen=True, kw_only=True, gc=False):
    """May this account use the feature for this pupil? `valid_until`: the next instant at which this answer may change
    by time alone; null means never. `sources` lists the rights that hold, the one that lasts longest first."""

    as_of: datetime


class PupilAnswer(msgspec.Struct, frozen=True, gc=False):
    """One pupil and a decision for each add-on."""

    pupil: str
    features: tuple[Decision, ...]


class _EntitlementsFacts(msgspec.Struct, frozen=True, gc=False, tag_field="object", tag="entitlements"):
    account: str
    channel: Channel
    valid_until: datetime | None
    pupils: tuple[PupilAnswer, ...]
    basic: tuple[str, ...]
    source: Origin


class EntitlementsAnswer(_EntitlementsFacts, frozen=True, kw_only=True, gc=False):
    """All pupils of an account and all add-ons; `basic` names what is always allowed."""

    as_of: datetime


class CheckError(msgspec.Struct, frozen=True, gc=False):
    """Why one check has no decision."""

    code: str
    detail: str


class CheckFailed(msgspec.Struct, frozen=True, gc=False):
    """Stands in the place of a check that cannot be answered."""

    error: CheckError


class CheckResults(msgspec.Struct, frozen=True, gc=False, tag_field="object", tag="check_results"):
    """The answers in the order of the questions."""

    as_of: datetime
    results: list[DecisionAnswer | CheckFailed]


class CompactResults(msgspec.Struct, frozen=True, gc=False, tag_field="object", tag="check_results"):
    """Yes, no, or null for a check without a decision; `valid_until` is the earliest of all."""

    as_of: datetime
    valid_until: datetime | None
    source: Origin
    allowed: list[bool | None]


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """An encoded answer with its validator and how long it may be kept."""

    body: bytes
    etag: str
    cache_control: str
    stale: bool = False


def one(account: str, channel: Channel, decision: Decision, at: datetime, now: datetime) -> Sealed:
    """The answer to a question about one feature."""
    source: Origin = "stale" if isinstance(decision, StaleDecision) else "live"
    facts = _DecisionFacts(
        account,
        decision.pupil,
        decision.feature,
        channel,
        decision.allowed,
        decision.reason,
        decision.valid_until,
        decision.sources,
        decision.reverts_to,
        decision.free_in_browser,
        decision.notice_pending,
        source,
    )
    return _seal(facts, source, max_age(decision.valid_until, now, allowed=decision.allowed), at)


def all_of(
    account: str,
    channel: Channel,
    pupils: tuple[PupilAnswer, ...],
    basic: Iterable[str],
    valid_until: datetime | None,
    at: datetime,
    now: datetime,
) -> Sealed:
    """The answer to a question about everything."""
    decisions = [decision for pupil in pupils for decision in pupil.features]
    source = origin_of(*decisions)
    facts = _EntitlementsFacts(account, channel, valid_until, pupils, tuple(sorted(basic)), source)
    allowed = all(decision.allowed for decision in decisions)
    return _seal(facts, source, max_age(valid_until, now, allowed=allowed), at)


def result(account: str, channel: Channel, decision: Decision, at: datetime) -> DecisionAnswer:
    """The answer to one check of a batch."""
    return DecisionAnswer(
        account,
        decision.pupil,
        decision.feature,
        channel,
        decision.allowed,
        decision.reason,
        decision.valid_until,
        decision.sources,
        decision.reverts_to,
        decision.free_in_browser,
        decision.notice_pending,
        "stale" if isinstance(decision, StaleDecision) else "live",
        as_of=at,
    )


def origin_of(*decisions: object) -> Origin:
    """Whether all of them are by facts that hold."""
    return "stale" if any(isinstance(each, StaleDecision) for each in decisions) else "live"


def tag_of(same: bytes) -> str:
    """The strong validator of what is the same as long as it says the same; put `W/` before it for a weak one."""
    return f'"{blake2b(same, digest_size=12).hexdigest()}"'


def failed(error: BillingError) -> CheckFailed:
    """What stands in the place of a check that cannot be answered."""
    return CheckFailed(CheckError(error.code, error.detail))


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names this answer: any of a list, weak or strong, or `*` (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in _TAGS.findall(if_none_match)


def max_age(valid_until: datetime | None, now: datetime, *, allowed: bool) -> int:
    """Whole seconds an answer may be kept: never past its `valid_until`, and a refusal only shortly (I08)."""
    longest = LONGEST_KEPT if allowed else LONGEST_REFUSED
    if valid_until is None:
        return longest
    ahead = valid_until - now
    return longest if ahead > _LONGEST else max(0, min(longest, int(ahead.total_seconds())))


def _seal(facts: msgspec.Struct, source: Origin, kept: int, at: datetime) -> Sealed:
    """Encode once; the instant goes on at the end, after the validator was taken of everything else.

    The validator is weak (RFC 9110, 8.8.1): two answers with the same validator say the same, but may differ in
    `as_of`.
    """
    same = _encoder.encode(facts)
    is_stale = source == "stale"
    return Sealed(
        body=same[:-1] + b',"as_of":' + _encoder.encode(at) + b"}",
        etag="W/" + tag_of(same),
        cache_control="no-store" if is_stale else f"private, max-age={kept}, stale-if-error={KEPT_IN_OUTAGE}",
        stale=is_stale,
    )
