"""What is counted. Labels are bounded: routes by template, never by path; no ids, no people (I28).

Requests are counted in blocks, at the latest when somebody looks: to find the counters of labels costs more than to
count.
"""

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric

MOST_WAITING: Final = 500


class _Requests(Counter):
    """The counter of requests; whoever looks at it sees all of them."""

    def collect(self) -> Iterable[Metric]:
        """What was counted until now."""
        settle()
        return super().collect()


class _Duration(Histogram):
    """How long requests took; whoever looks at it sees all of them."""

    def collect(self) -> Iterable[Metric]:
        """What was counted until now."""
        settle()
        return super().collect()


REQUESTS = _Requests("billing_http_requests", "Requests by route template and status.", ("method", "route", "status"))
DURATION = _Duration("billing_http_seconds", "Seconds from request to answer.", ("route",))
OLDEST_DUE = Gauge("billing_oldest_due_seconds", "Age of the oldest due piece of work, by kind.", ("work",))
BROKEN = Gauge("billing_invariants_broken", "Queries of the nightly audit that found something, last time.")
CASES = Gauge("billing_cases_open", "Matters that wait for a person, by kind.", ("kind",))
CASE_AGE = Gauge("billing_case_oldest_seconds", "Age of the oldest matter that waits for a person, by kind.", ("kind",))
CASES_DUE = Gauge("billing_cases_due", "Matters near their day, or past it, by kind.", ("kind", "day"))
REFUNDS_DUE = Gauge("billing_refunds_due", "Refunds not done with at most so many days left; -1: late.", ("days_left",))
PAID_NOT_ACTIVE = Gauge("billing_paid_not_active", "Payments told of more than 60 s ago and not judged yet.")
RECONCILED = Gauge("billing_reconciled_age_seconds", "Since the last good look at the provider's books.")
PRICED = Gauge("billing_priced_days", "Days ahead, today among them, on each of which the season pass has a price.")
PAYOUTS_OPEN = Gauge("billing_payouts_open", "Payouts whose lines do not close to the grosz.")
PAYOUT_DIFFERENCE = Gauge("billing_payout_difference_grosz", "What the open payouts differ by, signs left out.")
WORK_DONE = Counter("billing_work_done", "Pieces of work done, by kind.", ("work",))
WORK_FAILED = Counter("billing_work_failed", "Runs that raised, by kind.", ("work",))
LETTERS = Counter("billing_letters", "Letters by kind and outcome.", ("kind", "outcome"))
SNAPSHOT_AGE = Gauge("billing_snapshot_age_seconds", "Since the rights in shared memory were true; -1: never.")
SNAPSHOT_ACCOUNTS = Gauge("billing_snapshot_accounts", "Accounts in shared memory, told by the process that writes.")
SNAPSHOT_BYTES = Gauge("billing_snapshot_bytes", "Bytes of their rights, outdated ones included.")
SNAPSHOT_LOADS = Counter("billing_snapshot_loads", "Times everybody's rights were loaded into shared memory.")
SNAPSHOT_FAULTS = Counter("billing_snapshot_faults", "Times the keeper of shared memory began anew after a fault.")
EVENTS = Counter("billing_stripe_events", "Stripe events by outcome.", ("outcome",))
OUTGOING = Counter("billing_outgoing_webhooks", "Outgoing webhooks by outcome.", ("outcome",))

_waiting: list[tuple[str, str, int, float]] = []


def request(method: str, route: str, status: int, took: float) -> None:
    """Count a request that took so many seconds."""
    _waiting.append((method, route, status, took))
    if len(_waiting) >= MOST_WAITING:
        settle()


def settle() -> None:
    """Count what waits. Lines added meanwhile by another thread wait on."""
    block = _waiting[:]
    del _waiting[: len(block)]
    for (method, route, status), times in Tally(line[:3] for line in block).items():
        REQUESTS.labels(method, route, str(status)).inc(times)
    by_route = {route: DURATION.labels(route) for route in {line[1] for line in block}}
    for _, route, _, took in block:
        by_route[route].observe(took)
