"""When a trial ends, when its people must be told, and what happens when they were not. Pure.

The law of the room (R21): a trial ends on the day D named in a notice only if every account of the pupil was told at
least N days before D. A day that cannot be kept any more is replaced by a later one, never by silence.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Literal

from billing.catalog.values import TrialPolicy
from billing.kernel.days import at_hour, day_of, start_of

Telling = Literal["planned", "handed_over", "bounced"]
State = Literal["running", "ended", "converted"]


def reverts_on(policy: TrialPolicy, started: date) -> date:
    """The day D on which the basic version returns, as planned at the start: a common day for all if there is one and
    it still leaves time to tell, else `length_days` after the start; never so near that nobody could be told."""
    soonest = started + timedelta(days=policy.notice_days + 1)
    if policy.common_end is not None and policy.common_end >= soonest:
        return policy.common_end
    return max(started + timedelta(days=policy.length_days or 0), soonest)


def told_by(policy: TrialPolicy, reverts: date) -> datetime:
    """The first instant at which it is too late to tell of D: D − N days, 00:00 in Warsaw."""
    return start_of(reverts - timedelta(days=policy.notice_days))


def tell_from(policy: TrialPolicy, reverts: date) -> datetime:
    """When telling of D begins: the first sending hour, `lead_days` before the last day on which it may be told."""
    return at_hour(reverts - timedelta(days=policy.notice_days + policy.lead_days), policy.send_hours[0])


def prolonged(policy: TrialPolicy, at: datetime) -> date:
    """A day D that can still be told of in time, when the old one cannot: the full lead again, from tomorrow on."""
    return day_of(at) + timedelta(days=policy.notice_days + policy.lead_days + 1)


def is_bound(tellings: Iterable[Telling]) -> bool:
    """Whether D holds: every account that must be told was told, and there is one at all."""
    told = list(tellings)
    return bool(told) and all(telling == "handed_over" for telling in told)


def state_at(at: datetime, ends_at: datetime, *, is_bound: bool, is_converted: bool) -> State:
    """A trial's state; a planned end that passes unbound does not end it."""
    if is_converted:
        return "converted"
    return "ended" if is_bound and at >= ends_at else "running"
