"""The decision for an account, by facts that hold or, while the store is silent, by the last that were known (I07).

By facts that nobody can confirm only a yes is told: until its `valid_until`, and for a declared grace after it, since
whoever has bought what comes next cannot be seen. Marked, and never to be kept. A no might have ended a second ago, so
it is not told: nobody who has just paid stays locked out (I08). What was taken away by a person, a school's block or a
refund, gets no grace.
"""

from datetime import datetime, timedelta

from billing.kernel.errors import Unavailable
from entitlements.decision import Channel, Decision, StaleDecision, decide
from entitlements.facts import GRACE, AccountFacts, PupilFacts
from entitlements.features import FeatureList

_INSTANT = timedelta(microseconds=1)


def judge(
    features: FeatureList, account: AccountFacts, pupil: PupilFacts, feature: str, channel: Channel, at: datetime,
    now: datetime,
) -> Decision:  # fmt: skip
    """The answer for a pupil of the account. Raises UnknownFeature, and Unavailable where the last that was known is no
    yes."""
    decision = decide(features, pupil, feature, channel, at, now)
    if not account.stale or decision.reason in {"basic", "browser"}:
        return decision
    told = decision if decision.allowed else _in_grace(features, pupil, feature, channel, decision, at, now)
    if told is None:
        raise Unavailable("Rights cannot be looked up at this moment.", code="store_unavailable", retry_after=2)
    return StaleDecision(
        told.pupil, told.feature, told.allowed, told.reason, told.valid_until, told.sources,
        notice_pending=told.notice_pending,
    )  # fmt: skip


def _in_grace(
    features: FeatureList, pupil: PupilFacts, feature: str, channel: Channel, refused: Decision, at: datetime,
    now: datetime,
) -> Decision | None:  # fmt: skip
    """The yes that time alone ended less than GRACE ago; None: there was none, or the question is not about now."""
    if at != now or refused.reason == "blocked_by_school":
        return None
    over = [
        (end, grant.end_reason)
        for grant in pupil.grants
        if feature in grant.features and (end := grant.end(now)) is not None and end <= at
    ]
    last = max((end for end, _ in over), default=None)
    if last is None or at >= last + GRACE or any(end == last and reason is not None for end, reason in over):
        return None
    before = decide(features, pupil, feature, channel, last - _INSTANT, now)
    return before if before.allowed else None
