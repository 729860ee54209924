"""May a pupil's feature be used? A pure function of facts and an instant: no job has to run for a right to end (I05).

Every right is a half-open interval [since, until) of UTC instants (R20, R131). The one exception is kind: a trial whose
end nobody was told of yet (`bound` is false) does not end at a planned end that has passed; it runs on until a new day
is named (R21). Questions about the future are answered by the plan.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from entitlements.facts import EndReason, Grant, Holding, Only, PupilFacts, Source, Span
from entitlements.features import FeatureList

Channel = Literal["mobile", "web"]
Free = Literal["basic", "browser"] | None
Allowed = Literal["basic", "browser", "trial", "paid", "sponsored", "granted", "grace"]
Refused = Literal[
    "never_started",
    "trial_ended",
    "pass_expired",
    "payment_failed",
    "withdrawn",
    "refunded",
    "disputed",
    "sponsorship_ended",
    "blocked_by_school",
    "not_linked",
]

Reason = Allowed | Refused

# Who names the reason when two sources last equally long.
_RANK: dict[Source, int] = {"paid": 4, "sponsored": 3, "granted": 2, "grace": 1, "trial": 0}
_ENDED_BY_TIME: dict[Source, Refused] = {
    "trial": "trial_ended",
    "paid": "pass_expired",
    "sponsored": "sponsorship_ended",
    "granted": "pass_expired",
    "grace": "payment_failed",
}
_ENDLESS = datetime.max.replace(tzinfo=UTC)


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer for one pupil and feature. `valid_until` is the next instant at which `allowed`, `reason` or `sources`
    change by time alone; null means never (I08, R133).
    """

    pupil: str | None
    feature: str
    allowed: bool
    reason: Reason
    valid_until: datetime | None
    sources: tuple[Holding, ...]
    reverts_to: Literal["basic"] = "basic"
    free_in_browser: Literal[True] = True
    notice_pending: bool = False


class StaleDecision(Decision, frozen=True, gc=False):
    """A yes by the last facts that were known, while nobody can tell whether they still hold (I07)."""


def free_reason(features: FeatureList, feature: str, channel: Channel) -> Free:
    """Why `feature` is allowed whoever asks and whatever is known (R9, R10, I06), or None where facts must be read.

    Raises UnknownFeature.
    """
    if features.is_basic(feature):
        return "basic"
    return "browser" if channel == "web" else None


def free_decision(pupil: str | None, feature: str, reason: Literal["basic", "browser"]) -> Decision:
    """The answer that needs no facts and never changes."""
    return Decision(pupil, feature, True, reason, None, ())


def decide(
    features: FeatureList, facts: PupilFacts, feature: str, channel: Channel, at: datetime, now: datetime
) -> Decision:
    """Answer for `feature` at the instant `at`, by what is known at `now`. Precedence: basic, browser, block, grants.

    Raises UnknownFeature.
    """
    free = free_reason(features, feature, channel)
    if free is not None:
        return free_decision(facts.pupil, feature, free)
    return decide_by_facts(facts, feature, at, now)


def decide_by_facts(facts: PupilFacts, feature: str, at: datetime, now: datetime) -> Decision:
    """The answer for what is not free (`free_reason` is None)."""
    if not facts.linked:
        return Decision(facts.pupil, feature, False, "not_linked", None, ())
    spans = [_Span(grant, grant.end(now)) for grant in facts.grants if feature in grant.features]
    blocked_since = facts.blocks.get(feature)
    if len(spans) == 1 and blocked_since is None:
        return _by_one(facts, feature, spans[0], at)
    allowed, reason, sources = _state(spans, blocked_since, at)
    return Decision(
        pupil=facts.pupil,
        feature=feature,
        allowed=allowed,
        reason=reason,
        valid_until=_next_change(spans, blocked_since, at, (allowed, reason, sources)),
        sources=sources,
        notice_pending=facts.notice_pending,
    )


def _by_one(facts: PupilFacts, feature: str, span: "_Span", at: datetime) -> Decision:
    """The answer where there is one grant and no block, as for most pupils: what the general rule says, without it."""
    grant, end = span.grant, span.end
    if end is not None and end <= at:
        return _plainly(facts, feature, grant.end_reason or _ENDED_BY_TIME[grant.source], None)
    if at < grant.since:
        return _plainly(facts, feature, "never_started", grant.since)
    return _yes(facts.pupil, feature, Holding(grant.source, grant.origin, grant.since, end), facts.notice_pending)


def yes_by(pupil: str, feature: str, only: Only, at: datetime) -> Decision | None:
    """What `_by_one` says of the only right of a pupil where it is a yes; None: `decide_by_facts` must say."""
    right, notice_pending = only
    holds = right.since <= at and right.until is not None and at < right.until
    return _yes(pupil, feature, right, notice_pending) if holds else None


def _yes(pupil: str, feature: str, right: Holding, notice_pending: bool) -> Decision:  # noqa: FBT001 - as in Decision
    return Decision(pupil, feature, True, right.source, right.until, (right,), notice_pending=notice_pending)


def yes_until(spans: Iterable[Span], at: int) -> list[int]:
    """What `_by_one` says of the only rights of many pupils at an instant which is now, in microseconds: until when it
    is a yes; 0: no yes is sure, and `decide_by_facts` must say."""
    return [until if since <= at < until else 0 for since, until in spans]


def _plainly(facts: PupilFacts, feature: str, reason: Refused, valid_until: datetime | None) -> Decision:
    return Decision(facts.pupil, feature, False, reason, valid_until, (), notice_pending=facts.notice_pending)


def decide_all(
    features: FeatureList, facts: PupilFacts, channel: Channel, at: datetime, now: datetime
) -> tuple[Decision, ...]:
    """One decision for each add-on, in the order of their names."""
    return tuple(decide(features, facts, feature, channel, at, now) for feature in sorted(features.add_ons))


def earliest_change(decisions: Iterable[Decision]) -> datetime | None:
    """The next instant at which any of the answers may change by time alone."""
    return min((each.valid_until for each in decisions if each.valid_until is not None), default=None)


def holding(grants: Iterable[Grant], at: datetime, now: datetime) -> tuple[Grant, ...]:
    """The grants that hold at `at`, the one that lasts longest first, whatever their features."""
    return tuple(span.grant for span in _held([_Span(grant, grant.end(now)) for grant in grants], at))


class _Span(msgspec.Struct, frozen=True, gc=False):
    """A grant together with its end as known now."""

    grant: Grant
    end: datetime | None


_State = tuple[bool, Reason, tuple[Holding, ...]]


def _state(spans: list[_Span], blocked_since: datetime | None, at: datetime) -> _State:
    sources = tuple(
        Holding(span.grant.source, span.grant.origin, span.grant.since, span.end) for span in _held(spans, at)
    )
    if blocked_since is not None and blocked_since <= at:
        return False, "blocked_by_school", sources
    if sources:
        return True, sources[0].source, sources
    return False, _refusal(spans, at), ()


def _held(spans: list[_Span], at: datetime) -> list[_Span]:
    held = [span for span in spans if span.grant.since <= at and (span.end is None or at < span.end)]
    if len(held) > 1:
        held.sort(key=_lasting, reverse=True)
    return held


def _lasting(span: _Span) -> tuple[datetime, int, datetime, str]:
    """Sorts by how long a right lasts.

    A trial that runs on past its plan counts with that plan: a pass is not outlasted by days that only a missing notice
    gives, so a parent who has paid reads `paid`.
    """
    grant = span.grant
    return grant.until or _ENDLESS, _RANK[grant.source], grant.since, grant.origin


def _refusal(spans: list[_Span], at: datetime) -> Refused:
    """Why nothing holds: the grant that ended last says so."""
    ended = [(span.end, _RANK[span.grant.source], span.grant) for span in spans if span.end and span.end <= at]
    if not ended:
        return "never_started"
    last = max(ended, key=lambda each: (each[0], each[1], each[2].end_reason or ""))[2]
    reason: EndReason | None = last.end_reason
    return reason or _ENDED_BY_TIME[last.source]


def _next_change(spans: list[_Span], blocked_since: datetime | None, at: datetime, state: _State) -> datetime | None:
    """The first boundary after `at` that really makes a difference."""
    boundaries = {span.grant.since for span in spans}
    boundaries.update(span.end for span in spans if span.end is not None)
    if blocked_since is not None:
        boundaries.add(blocked_since)
    later = sorted(boundary for boundary in boundaries if boundary > at)
    return next((boundary for boundary in later if _state(spans, blocked_since, boundary) != state), None)
