"""Refunds that staff decide on: a reason and a name on each, a second person above a limit (R78, R79, R117)."""

from datetime import datetime
from typing import Final, Literal, cast, get_args

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.cases.service import Case
from billing.checkout import service as checkout
from billing.checkout.fulfilment import give_back
from billing.kernel.days import day_of
from billing.kernel.errors import Conflict
from billing.kernel.ids import parse
from billing.payments import refunds
from billing.payments.refunds_by_hand import AT_THE_PROVIDER
from billing.payments.rules import NOT_RESERVED, Reason, Refund, RefundTooLarge
from billing.withdrawals import disputed_money
from billing.withdrawals.service import end_if_all_is_back

StaffReason = Literal["goodwill", "non_conformity", "sponsor_overlap", "school_block"]
STAFF_REASONS: Final[tuple[StaffReason, ...]] = get_args(StaffReason)

LIMIT: Final = 10000
"""So many grosz of an order go back without a second person, unless the settings say otherwise (R117)."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a proposal: the refund, or the case that a second person must end."""

    refund: Refund | None = None
    case: str | None = None


async def propose(
    session: AsyncSession, order: str, amount: int, reason: StaffReason, by: str, why: str, at: datetime,
    *, limit: int = LIMIT,
) -> Proposal:  # fmt: skip
    """Give `amount` grosz of an order back, for a reason of the list; `why` is for the file. It is done at once while
    all that goes back without a second person stays within the limit; beyond it another must approve (`approve`).

    An order has one refund for a reason (I13). Raises RefundTooLarge, and Conflict where the reason was used before.
    """
    row = await checkout.lock_order(session, parse("ord", order))
    await _check(session, order, amount, reason)
    if amount + await _given_alone(session, order) <= limit:
        return Proposal(refund=await _refund(session, order, amount, reason, by, at))
    about = f"{order}:{reason}"
    await cases.open_case(
        session, "staff_refund", about, at, order=order, account=row.account, reopen=True,
        amount=amount, refund_reason=reason,
    )  # fmt: skip
    case = await cases.case_about(session, "staff_refund", about)
    if case is None or case.state != "open":
        raise Conflict("A refund of this order for this reason waits for approval already.", code="conflict")
    case.facts = {**case.facts, "amount": amount}
    await cases.decide(session, case, "refunded", by, why, at)
    return Proposal(case=cases.case_id(case))


async def approve(session: AsyncSession, case: Case, by: str, why: str, at: datetime) -> Refund | None:
    """The second person says yes: the money is set aside and goes back. Nothing, where nobody had proposed it any more.
    Raises SecondPersonNeeded for whoever proposed it, RefundTooLarge where the money went back meanwhile."""
    order, name = case.about.split(":")
    await checkout.lock_order(session, parse("ord", order))
    if not await cases.decide(session, case, "refunded", by, why, at):
        return None
    amount, reason = int(case.facts["amount"]), cast("StaffReason", name)
    await _check(session, order, amount, reason)
    return await _refund(session, order, amount, reason, by, at)


async def _check(session: AsyncSession, order: str, amount: int, reason: Reason) -> None:
    for earlier in await refunds.refunds_of(session, order):
        if earlier.reason == reason and earlier.state != "waived" and earlier.approved_by != AT_THE_PROVIDER:
            raise Conflict(
                "This order had a refund for this reason already.", code="conflict", refund=earlier.public_id
            )
    kept = await disputed_money.kept(session, order)
    if not 0 < amount <= kept:
        raise RefundTooLarge("More would go back than is kept of this order.", kept=kept)


async def _given_alone(session: AsyncSession, order: str) -> int:
    """What goes back of an order for reasons of the staff's list without a second person, in grosz: also what was given
    at the provider by hand, and what failed and is owed; what was waived does not."""
    alone = 0
    for earlier in await refunds.refunds_of(session, order):
        if earlier.reason not in STAFF_REASONS or earlier.state == "waived":
            continue
        case = await cases.case_about(session, "staff_refund", f"{order}:{earlier.reason}")
        if case is None or (case.outcome, case.closed_at) != ("refunded", earlier.created_at):
            alone += earlier.amount
    return alone


async def _refund(session: AsyncSession, order: str, amount: int, reason: Reason, by: str, at: datetime) -> Refund:
    """The newest payment that can still carry it: of two of one order, the older may be back already. Raises Conflict
    where the refund that stands for it gives nothing back."""
    row = await checkout.read_order(session, order)
    fitting = [paid for paid, rest in await disputed_money.rests(session, order, lock=True) if rest >= amount]
    if not fitting:
        raise RefundTooLarge("No single payment of this order still holds so much.", amount=amount)
    is_all = await disputed_money.kept(session, order) == amount
    ended_on = day_of(at) if is_all else None
    scope = await _scope(session, order, reason)
    refund = await give_back(
        session, row, fitting[-1], amount, reason, at, approved_by=by, ended_on=ended_on, scope=scope
    )
    if refund.state in NOT_RESERVED:
        raise Conflict("The refund for this reason is over.", code="conflict", refund=refund.public_id)
    await end_if_all_is_back(session, order, ("full_refund", "part_refund"), at)
    return refund


async def _scope(session: AsyncSession, order: str, reason: Reason) -> str:
    """A refund that was waived makes room for one more of its reason, and is its scope; empty where none does (I13)."""
    same = [earlier for earlier in await refunds.refunds_of(session, order) if earlier.reason == reason]
    used = {earlier.scope for earlier in same}
    return next((one.public_id for one in same if one.state == "waived" and one.public_id not in used), "")
