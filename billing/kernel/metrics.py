"""What is counted. Labels are bounded: routes by template, never by path; no ids, no people (I28).

Requests are counted in blocks, at the latest when somebody looks: to find the counters of labels costs more than to
count. A block is small enough that nobody waits for it noticeably.
"""

from collections import Counter as Tally
from collections.abc import Iterable
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import Metric

MOST_WAITING: Final = 100

COUNTED: Final = CollectorRegistry()
"""What each process counts for itself."""
TOLD: Final = CollectorRegistry()
"""What is read from the database when somebody asks, the same in every process."""
ProcessCollector(registry=COUNTED)


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


REQUESTS = _Requests(
    "billing_http_requests", "Requests by route template and status.", ("method", "route", "status"), registry=COUNTED
)
DURATION = _Duration("billing_http_seconds", "Seconds from request to answer.", ("route",), registry=COUNTED)
OLDEST_DUE = Gauge(
    "billing_oldest_due_seconds", "Age of the oldest due piece of work, by kind.", ("work",), registry=TOLD
)
BROKEN = Gauge(
    "billing_invariants_broken", "Queries of the nightly audit that found something, last time.", registry=TOLD
)
CASES = Gauge("billing_cases_open", "Matters that wait for a person, by kind.", ("kind",), registry=TOLD)
CASE_AGE = Gauge(
    "billing_case_oldest_seconds",
    "Age of the oldest matter that waits for a person, by kind.",
    ("kind",),
    registry=TOLD,
)
CASES_DUE = Gauge("billing_cases_due", "Matters near their day, or past it, by kind.", ("kind", "day"), registry=TOLD)
REFUNDS_DUE = Gauge(
    "billing_refunds_due", "Refunds not done with at most so many days left; -1: late.", ("days_left",), registry=TOLD
)
PAID_NOT_ACTIVE = Gauge(
    "billing_paid_not_active", "Payments told of more than 60 s ago and not judged yet.", registry=TOLD
)
RECONCILED = Gauge("billing_reconciled_age_seconds", "Since the last good look at the provider's books.", registry=TOLD)
PRICED = Gauge(
    "billing_priced_days", "Days ahead, today among them, on each of which the season pass has a price.", registry=TOLD
)
PAYOUTS_OPEN = Gauge("billing_payouts_open", "Payouts whose lines do not close to the grosz.", registry=TOLD)
PAYOUT_DIFFERENCE = Gauge(
    "billing_payout_difference_grosz", "What the open payouts differ by, signs left out.", registry=TOLD
)
WORK_DONE = Counter("billing_work_done", "Pieces of work done, by kind.", ("work",), registry=COUNTED)
WORK_FAILED = Counter("billing_work_failed", "Runs that raised, by kind.", ("work",), registry=COUNTED)
LETTERS = Counter("billing_letters", "Letters by kind and outcome.", ("kind", "outcome"), registry=COUNTED)
SNAPSHOT_AGE = Gauge(
    "billing_snapshot_age_seconds", "Since the rights in shared memory were true; -1: never.", registry=COUNTED
)
SNAPSHOT_ACCOUNTS = Gauge(
    "billing_snapshot_accounts", "Accounts in shared memory, told by the process that writes.", registry=COUNTED
)
SNAPSHOT_BYTES = Gauge("billing_snapshot_bytes", "Bytes of their rights, outdated ones included.", registry=COUNTED)
SNAPSHOT_LOADS = Counter(
    "billing_snapshot_loads", "Times everybody's rights were loaded into shared memory.", registry=COUNTED
)
SNAPSHOT_FAULTS = Counter(
    "billing_snapshot_faults", "Times the keeper of shared memory began anew after a fault.", registry=COUNTED
)
LOG_LINES_LOST = Counter(
    "billing_log_lines_lost", "Lines that could not be written into the log at once, or at all.", registry=COUNTED
)
EVENTS = Counter("billing_stripe_events", "Stripe events by outcome.", ("outcome",), registry=COUNTED)
OUTGOING = Counter("billing_outgoing_webhooks", "Outgoing webhooks by outcome.", ("outcome",), registry=COUNTED)

_waiting: list[tuple[str, str, int, float]] = []
_settling = Lock()


def request(method: str, route: str, status: int, took: float) -> None:
    """Count a request that took so many seconds."""
    _waiting.append((method, route, status, took))
    if len(_waiting) >= MOST_WAITING:
        settle()


def settle() -> None:
    """Count what waits. Lines added meanwhile by another thread wait on."""
    with _settling:
        block = _waiting[:]
        del _waiting[: len(block)]
    for (method, route, status), times in Tally(line[:3] for line in block).items():
        REQUESTS.labels(method, route, str(status)).inc(times)
    by_route = {route: DURATION.labels(route) for route in {line[1] for line in block}}
    for _, route, _, took in block:
        by_route[route].observe(took)
