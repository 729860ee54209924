"""What may be ordered, which moves an order may make, and what is done with its money. Pure."""

import hashlib
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from billing.catalog.reading import MOST_BY_MANDATE
from billing.catalog.rules import offer_digest, right_of
from billing.catalog.values import Offer, OrderRules
from billing.kernel.days import day_of, end_of, last_day_of_term
from billing.kernel.errors import Conflict

State = Literal["incomplete", "pending", "paid", "failed", "expired"]
Refusal = Literal["not_an_adult", "already_covered", "blocked_by_school", "sales_closed", "link_expired"]

OPEN: frozenset[State] = frozenset({"incomplete", "pending"})
MOVES: frozenset[tuple[State, State]] = frozenset(
    {
        ("incomplete", "pending"),
        ("incomplete", "paid"),
        ("incomplete", "failed"),
        ("incomplete", "expired"),
        ("pending", "paid"),
        ("pending", "failed"),
        ("failed", "paid"),  # money that came after all is never left lying (I12)
        ("expired", "paid"),
    }
)

PENDING_AT_MOST = timedelta(days=3)
"""A bank answers within a minute (BLIK) or when the buyer returns (P24); an ordinary transfer behind P24 takes up to
two banking days. What waits longer is for a person to look at: `docs/decisions.md`."""

FIRST_CHECK = timedelta(minutes=1)
HOURLY_UNTIL, QUARTERLY_UNTIL = 30, 42


def move(now: State, to: State) -> State:
    """The next state; an edge that is not in the table is refused (I17)."""
    if (now, to) not in MOVES:
        raise Conflict(f"An order cannot go from {now} to {to}.", code="conflict")
    return to


def waits_days(order: OrderRules, offer: Offer, *, start_now: bool) -> int:
    """For how many days after its payment a pass waits whose buyer did not ask for an early start: those of the term to
    withdraw, where this place has it so (R44). What renews never waits, nor does what is free."""
    may_wait = offer.kind == "season_pass" and offer.unit_gross > 0 and not start_now
    return order.withdrawal_days if may_wait and order.start_unasked == "after_withdrawal" else 0


def begins_after(begins: datetime, paid_on: date, days: int, until: datetime) -> datetime:
    """When a right begins that waits for so many days after its payment. One that would wait until it is over begins
    when it would without: a withdrawal brings all its money back either way (R44)."""
    if not days:
        return begins
    waited = end_of(last_day_of_term(paid_on, days))
    return max(begins, waited) if waited < until else begins


def later_first_day(order: OrderRules, offer: Offer, at: datetime) -> date | None:
    """The first day of a pass that is paid for now without the wish for an early start; None: the same as with it."""
    begins, until = right_of(offer, at)
    later = begins_after(begins, day_of(at), waits_days(order, offer, start_now=False), until)
    return day_of(later) if later > begins else None


class CoveredUntil(msgspec.Struct, frozen=True):
    """A pupil who has the full version already: by whom paid, and the last day."""

    source: Literal["paid", "sponsored"]
    last_day: date


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """What a link can sell now. `refusal` says why nothing can be; `pupils` are those to pay for, in order; `locale` is
    the account's language, for a reader whose browser asks for none of ours; `choices` are all that the link may be
    used for, the season pass first.
    """

    offer: Offer | None
    pupils: tuple[str, ...]
    covered: tuple[CoveredUntil, ...] = ()
    blocked_features: tuple[str, ...] = ()
    refusal: Refusal | None = None
    locale: str = "pl"
    choices: tuple[Offer, ...] = ()

    @property
    def total(self) -> int:
        """Gross, in grosz."""
        return 0 if self.offer is None else self.offer.unit_gross * len(self.pupils)


def sale(
    offer: Offer | None,
    linked: Collection[str],
    covered: Mapping[str, CoveredUntil],
    blocked: Mapping[str, frozenset[str]],
    *,
    is_adult: bool,
) -> Sale:
    """What may be sold: adults only (R47), linked pupils, without those covered (R48), never where a school blocks
    everything (R13); what is blocked in part is named."""
    if not is_adult:
        return Sale(offer=offer, pupils=(), refusal="not_an_adult")
    if offer is None:
        return Sale(offer=None, pupils=(), refusal="sales_closed")
    if not linked:
        return Sale(offer=offer, pupils=(), refusal="link_expired")
    wanted = set(offer.features)
    taken_out = tuple(covered[pupil] for pupil in sorted(linked) if pupil in covered)
    uncovered = [pupil for pupil in sorted(linked) if pupil not in covered]
    sellable = tuple(pupil for pupil in uncovered if not wanted <= blocked.get(pupil, frozenset()))
    named = set[str]().union(*(blocked.get(pupil, frozenset()) for pupil in uncovered)) & wanted
    refusal: Refusal | None = None
    if not sellable:
        refusal = "blocked_by_school" if uncovered else "already_covered"
    return Sale(offer=offer, pupils=sellable, covered=taken_out, blocked_features=tuple(sorted(named)), refusal=refusal)


def digest(found: Sale, terms_version: str) -> str:
    """Names exactly what the page shows, so that a changed price or period is seen before the click (R85)."""
    offer = offer_digest(found.offer, len(found.pupils)) if found.offer else ""
    text = repr((offer, found.blocked_features, terms_version))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def next_check(at: datetime, checks: int) -> datetime:
    """When to ask the provider about an unfinished order again: after 1, 2, 4 … minutes, then hourly for a day, every
    six hours for three days, and daily for as long as a bank may take (R56).
    """
    if checks < HOURLY_UNTIL:
        return at + min(FIRST_CHECK * 2 ** min(checks, 10), timedelta(hours=1))
    return at + (timedelta(hours=6) if checks < QUARTERLY_UNTIL else timedelta(days=1))


Fate = Literal["fulfil", "duplicate", "late", "withdrawal"]


def fate_of_money(
    *, captured_at: datetime, sold_until: datetime, has_account: bool, is_first_payment: bool,
    is_withdrawn: bool = False,
) -> Fate:  # fmt: skip
    """What to do with money that came in: give the right, or give the money back and say why (R49, R57). Money that
    comes after its buyer withdrew goes back for that (R69)."""
    if not is_first_payment:
        return "duplicate"
    if is_withdrawn:
        return "withdrawal"
    if not has_account or captured_at >= sold_until:
        return "late"
    return "fulfil"


def methods_for(methods: tuple[str, ...], total: int, *, renews: bool) -> tuple[str, ...]:
    """The ways an order may be paid: BLIK may charge again only so much at a time, for all pupils together (R68)."""
    if not renews or total <= MOST_BY_MANDATE:
        return methods
    return tuple(method for method in methods if method != "blik")
