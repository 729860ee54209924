"""What each event of money does to each kind of right: a table, not code paths (R57, R60, R78).

A row says whether the right ends and as what, on which day, which letter tells the buyer, what is done with the money,
and which case a person finds. `docs/money.md` publishes it; `apply_effect` is what reads it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, cast, get_args

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases.rules import Kind as CaseKind
from billing.subscriptions import service as subscriptions
from billing.subscriptions.rules import LIVE, Kind, State
from entitlements.facts import EndReason

Event = Literal[
    "withdrawal",
    "full_refund",
    "part_refund",
    "duplicate",
    "late_money",
    "refund_failed",
    "dispute_opened",
    "dispute_lost",
    "dispute_won",
    "invoice_failed",
    "invoice_paid_after_end",
    "part_refund_made_at_stripe_by_hand",
    "full_refund_made_at_stripe_by_hand",
]
Day = Literal["at_once", "own_end", "grace_end"]
Money = Literal["nothing", "refund_all", "refund_rest", "case"]

EVENTS: Final[tuple[Event, ...]] = get_args(Event)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `ends_as`: the state the right takes on and the reason its pupils are told; None: it stays. `day`: when
    the right ends: at once, at its own end, or when the days of grace are over. `money`: what is done with it from here
    (`refund_rest`: what the policy of withdrawals leaves to the buyer; `case`: a person decides)."""

    ends_as: tuple[State, EndReason] | None = None
    day: Day = "own_end"
    letter: str | None = None
    money: Money = "nothing"
    case: CaseKind | None = None


_NOTHING: Final = Effect()
_WITHDRAWN: Final = Effect(
    ends_as=("withdrawn", "withdrawn"), day="at_once", letter="withdrawal_received", money="refund_rest"
)
_REFUNDED: Final = Effect(ends_as=("refunded", "refunded"), day="at_once", letter="money_returned")
_TOLD: Final = Effect(letter="money_returned")
_GIVEN_BACK: Final = Effect(letter="money_returned", money="refund_all")
_BY_BANK: Final = Effect(letter="refund_by_bank", money="case", case="bank_transfer")
_DISPUTED: Final = Effect(case="dispute")
_LOST: Final = Effect(ends_as=("disputed", "disputed"), day="at_once", letter="dispute_lost", case="dispute")
_BY_HAND: Final = Effect(letter="money_returned", case="finding")
_ALL_BY_HAND: Final = Effect(ends_as=("refunded", "refunded"), day="at_once", letter="money_returned", case="finding")
_STRAY: Final = Effect(money="case", case="stray_money")
_SPONSOR_REFUNDED: Final = Effect(ends_as=("refunded", "sponsorship_ended"), day="at_once")
_SPONSOR_LOST: Final = Effect(ends_as=("disputed", "sponsorship_ended"), day="at_once", case="dispute")
_SPONSOR_BY_HAND: Final = Effect(ends_as=("refunded", "sponsorship_ended"), day="at_once", case="finding")

TABLE: Final[Mapping[tuple[Event, Kind], Effect]] = {
    ("withdrawal", "season_pass"): _WITHDRAWN,
    ("withdrawal", "renewing"): _WITHDRAWN,
    ("withdrawal", "sponsored"): _NOTHING,  # an institution is no consumer
    ("full_refund", "season_pass"): _REFUNDED,
    ("full_refund", "renewing"): _REFUNDED,
    ("full_refund", "sponsored"): _SPONSOR_REFUNDED,
    ("part_refund", "season_pass"): _TOLD,
    ("part_refund", "renewing"): _TOLD,
    ("part_refund", "sponsored"): _NOTHING,
    ("duplicate", "season_pass"): _GIVEN_BACK,
    ("duplicate", "renewing"): _GIVEN_BACK,
    ("duplicate", "sponsored"): _STRAY,
    ("late_money", "season_pass"): _GIVEN_BACK,
    ("late_money", "renewing"): _GIVEN_BACK,
    ("late_money", "sponsored"): _STRAY,
    ("refund_failed", "season_pass"): _BY_BANK,
    ("refund_failed", "renewing"): _BY_BANK,
    ("refund_failed", "sponsored"): Effect(money="case", case="bank_transfer"),
    ("dispute_opened", "season_pass"): _DISPUTED,
    ("dispute_opened", "renewing"): _DISPUTED,
    ("dispute_opened", "sponsored"): _DISPUTED,
    ("dispute_lost", "season_pass"): _LOST,
    ("dispute_lost", "renewing"): _LOST,
    ("dispute_lost", "sponsored"): _SPONSOR_LOST,
    ("dispute_won", "season_pass"): _NOTHING,
    ("dispute_won", "renewing"): _NOTHING,
    ("dispute_won", "sponsored"): _NOTHING,
    ("invoice_failed", "season_pass"): _NOTHING,  # no invoice of the provider's belongs to one
    ("invoice_failed", "renewing"): Effect(day="grace_end", letter="renewal_failed"),
    ("invoice_failed", "sponsored"): _NOTHING,
    ("invoice_paid_after_end", "season_pass"): _STRAY,
    ("invoice_paid_after_end", "renewing"): _GIVEN_BACK,
    ("invoice_paid_after_end", "sponsored"): _STRAY,
    ("part_refund_made_at_stripe_by_hand", "season_pass"): _BY_HAND,
    ("part_refund_made_at_stripe_by_hand", "renewing"): _BY_HAND,
    ("part_refund_made_at_stripe_by_hand", "sponsored"): Effect(case="finding"),
    ("full_refund_made_at_stripe_by_hand", "season_pass"): _ALL_BY_HAND,
    ("full_refund_made_at_stripe_by_hand", "renewing"): _ALL_BY_HAND,
    ("full_refund_made_at_stripe_by_hand", "sponsored"): _SPONSOR_BY_HAND,
}


def effect(event: Event, kind: Kind) -> Effect:
    """The row of the table."""
    return TABLE[event, kind]


async def apply_effect(session: AsyncSession, event: Event, order: str, at: datetime) -> int:
    """What the event does to the rights an order gave that are not over: each ends as its row says, or stays. Answers
    how many ended. Told again it ends none, and nothing makes one live again (I04)."""
    ended = 0
    for row in await subscriptions.of_order(session, order, lock=True):
        found = TABLE[event, cast("Kind", row.kind)]
        if found.ends_as is not None and _is_on(row.state, row.until, row.grace_until, at):
            state, reason = found.ends_as
            await subscriptions.end(session, row, at, state, reason)
            ended += 1
    return ended


def _is_on(state: str, until: datetime, grace_until: datetime | None, at: datetime) -> bool:
    return state in LIVE and max(until, grace_until or until) > at
