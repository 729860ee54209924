"""What is counted. Labels are bounded: routes by template, never by path; no ids, no people (I28)."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("billing_http_requests", "Requests by route template and status.", ("method", "route", "status"))
DURATION = Histogram("billing_http_seconds", "Seconds from request to answer.", ("route",))
OLDEST_DUE = Gauge("billing_oldest_due_seconds", "Age of the oldest due piece of work, by kind.", ("work",))
WORK_DONE = Counter("billing_work_done", "Pieces of work done, by kind.", ("work",))
WORK_FAILED = Counter("billing_work_failed", "Runs that raised, by kind.", ("work",))
LETTERS = Counter("billing_letters", "Letters by kind and outcome.", ("kind", "outcome"))
EVENTS = Counter("billing_stripe_events", "Stripe events by outcome.", ("outcome",))
