"""A second, slow, independent telling of the rules: time is a row of whole numbers, and each of them is looked at."""

from dataclasses import dataclass, field

STRENGTH = ["trial", "grace", "granted", "sponsored", "paid"]
TOO_LATE = 10_000
HORIZON = 64


@dataclass(frozen=True)
class NaiveGrant:
    source: str
    origin: str
    since: int
    until: int | None
    bound: bool = True
    end_reason: str | None = None
    for_feature: bool = True

    def untold(self, now: int) -> bool:
        return self.source == "trial" and not self.bound and self.until is not None and now >= self.until

    def holds(self, at: int, now: int) -> bool:
        if at < self.since:
            return False
        return self.until is None or self.untold(now) or at < self.until

    def over(self, at: int, now: int) -> bool:
        return self.until is not None and not self.untold(now) and self.until <= at


@dataclass(frozen=True)
class NaiveFacts:
    grants: list[NaiveGrant] = field(default_factory=list)
    blocked_from: int | None = None


def answer(facts: NaiveFacts, at: int, now: int) -> tuple[bool, str, frozenset[str]]:
    relevant = [grant for grant in facts.grants if grant.for_feature]
    holders = [grant for grant in relevant if grant.holds(at, now)]
    names = frozenset(grant.origin for grant in holders)
    if facts.blocked_from is not None and at >= facts.blocked_from:
        return False, "blocked_by_school", names
    if holders:
        return True, _longest(holders).source, names
    return False, _why_not([grant for grant in relevant if grant.over(at, now)]), names


def _longest(holders: list[NaiveGrant]) -> NaiveGrant:
    best = holders[0]
    for other in holders[1:]:
        ours = TOO_LATE if best.until is None else best.until
        theirs = TOO_LATE if other.until is None else other.until
        if theirs > ours or (theirs == ours and STRENGTH.index(other.source) > STRENGTH.index(best.source)):
            best = other
    return best


def _why_not(ended: list[NaiveGrant]) -> str:
    if not ended:
        return "never_started"
    latest = max(grant.until or 0 for grant in ended)
    last = [grant for grant in ended if grant.until == latest]
    strongest = max(STRENGTH.index(grant.source) for grant in last)
    reasons = {grant.end_reason or "" for grant in last if STRENGTH.index(grant.source) == strongest}
    said = max(reasons)
    by_time = {
        "trial": "trial_ended",
        "paid": "pass_expired",
        "granted": "pass_expired",
        "sponsored": "sponsorship_ended",
        "grace": "payment_failed",
    }
    return said or by_time[STRENGTH[strongest]]


def next_change(facts: NaiveFacts, at: int, now: int) -> int | None:
    before = answer(facts, at, now)
    for later in range(at + 1, HORIZON):
        if answer(facts, later, now) != before:
            return later
    return None
