"""What is counted. Labels are bounded: routes by template, never by path; no ids, no people (I28)."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("billing_http_requests", "Requests by route template and status.", ("method", "route", "status"))
DURATION = Histogram("billing_http_seconds", "Seconds from request to answer.", ("route",))
OLDEST_DUE = Gauge("billing_oldest_due_seconds", "Age of the oldest due piece of work, by kind.", ("work",))
BROKEN = Gauge("billing_invariants_broken", "Queries of the nightly audit that found something, last time.")
CASES = Gauge("billing_cases_open", "Matters that wait for a person, by kind.", ("kind",))
CASE_AGE = Gauge("billing_case_oldest_seconds", "Age of the oldest matter that waits for a person, by kind.", ("kind",))
CASES_DUE = Gauge("billing_cases_due", "Matters near their day, or past it, by kind.", ("kind", "day"))
REFUNDS_DUE = Gauge("billing_refunds_due", "Refunds not done with at most so many days left; -1: late.", ("days_left",))
PAID_NOT_ACTIVE = Gauge("billing_paid_not_active", "Payments told of more than 60 s ago and not judged yet.")
RECONCILED = Gauge("billing_reconciled_age_seconds", "Since the last good look at the provider's books.")
PAYOUTS_OPEN = Gauge("billing_payouts_open", "Payouts whose lines do not close to the grosz.")
PAYOUT_DIFFERENCE = Gauge("billing_payout_difference_grosz", "What the open payouts differ by, signs left out.")
WORK_DONE = Counter("billing_work_done", "Pieces of work done, by kind.", ("work",))
WORK_FAILED = Counter("billing_work_failed", "Runs that raised, by kind.", ("work",))
LETTERS = Counter("billing_letters", "Letters by kind and outcome.", ("kind", "outcome"))
EVENTS = Counter("billing_stripe_events", "Stripe events by outcome.", ("outcome",))
