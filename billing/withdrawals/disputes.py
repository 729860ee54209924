"""What the provider says of a dispute: the right stays until it is lost, and a person sees each (R60)."""

from datetime import datetime
from typing import cast

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import service as checkout
from billing.kernel import audit, outbox
from billing.kernel.ids import new_id, public
from billing.ledger import service as ledger
from billing.payments import early
from billing.payments import service as payments
from billing.payments.facts import DisputeFacts
from billing.subscriptions import service as subscriptions
from billing.subscriptions.rules import LIVE
from billing.withdrawals import dispute_rules as rules
from billing.withdrawals import disputed_money
from billing.withdrawals.dispute_rules import State
from billing.withdrawals.effects import apply_effect
from billing.withdrawals.tables_disputes import DisputeRow

PREFIX = "dsp"


class _Order(msgspec.Struct, frozen=True):
    """Whose order it is, and what each of its rights cost."""

    account: str | None
    unit_gross: int


def dispute_id(row: DisputeRow) -> str:
    """The public id, and what its case is about."""
    return public(PREFIX, row.id)


async def apply_dispute(session: AsyncSession, facts: DisputeFacts, at: datetime) -> str:
    """Take on what the provider says of a dispute; answers its state, or `not_ours`.

    Told again, in any order, it ends the same: the order is locked, and what the dispute says now is what counts (I01).
    BLIK disputes go the same way; Przelewy24 has none.
    """
    payment = await payments.find_payment(session, facts.payment_id or facts.charge_id or "")
    if payment is None:
        await early.keep(session, "dispute", facts.dispute_id, facts.payment_id or facts.charge_id, at)
        return "not_ours"
    locked = await checkout.lock_order(session, (await checkout.read_order(session, payment.order)).id)
    order = _Order(locked.account, locked.unit_gross)
    row = await session.scalar(select(DisputeRow).where(DisputeRow.stripe_dispute == facts.dispute_id))
    if row is None:
        row = DisputeRow(
            id=new_id(at), stripe_dispute=facts.dispute_id, payment_id=payment.id, order_id=payment.order,
            amount=facts.amount, reason=facts.reason, state="open", told=facts.state, opened_at=facts.created_at,
        )  # fmt: skip
        session.add(row)
        await session.flush()
        await _opened(session, row, order, at)
    row.told = facts.state
    if row.taken_at is None and rules.takes_money(facts.state):
        row.taken_at = at
        await ledger.book_chargeback(session, row.order_id, dispute_id(row), row.amount, at)
    before, after = cast("State", row.state), rules.state_of(facts.state)
    if (before, after) in rules.MOVES:
        await _close(session, row, order, before, after, at)
    await session.flush()
    return f"dispute {row.state}: {row.order_id}"


async def _opened(session: AsyncSession, row: DisputeRow, order: _Order, at: datetime) -> None:
    audit.record(
        session, at, "dispute.opened", dispute_id(row), account=order.account, after="open", reason=row.reason,
        order=row.order_id, amount=row.amount,
    )  # fmt: skip
    await cases.open_case(
        session, "dispute", dispute_id(row), at, order=row.order_id, account=order.account,
        amount=row.amount, reason=row.reason, stripe=row.stripe_dispute,
    )  # fmt: skip
    await apply_effect(session, "dispute_opened", row.order_id, at)


async def _close(
    session: AsyncSession, row: DisputeRow, order: _Order, before: State, after: State, at: datetime
) -> None:
    row.state, row.closed_at = rules.move(before, after), at
    audit.record(
        session, at, "dispute.moved", dispute_id(row), account=order.account, before=before, after=after,
        order=row.order_id,
    )  # fmt: skip
    await session.flush()
    if after == "lost":
        if not await _is_paid_for(session, row.order_id, order.unit_gross):
            await apply_effect(session, "dispute_lost", row.order_id, at)
            outbox.put(session, "dispute.lost", at, order=row.order_id, account=order.account)
            await _look_at_rest(session, row, order, at)
        await cases.close_about(session, "dispute", dispute_id(row), "lost", at, "the bank has decided")
        return
    await apply_effect(session, "dispute_won", row.order_id, at)
    if row.taken_at is not None:
        await ledger.book_chargeback_reversed(session, dispute_id(row), at)
    await cases.close_about(session, "dispute", dispute_id(row), "won", at, "the bank has decided")
    if before == "lost":
        await cases.open_case(
            session, "stray_money", dispute_id(row), at, order=row.order_id, account=order.account,
            cause="won_after_it_was_lost", amount=row.amount,
        )  # fmt: skip


async def _look_at_rest(session: AsyncSession, row: DisputeRow, order: _Order, at: datetime) -> None:
    """A bank may take a part only; what is left then buys nothing any more, and a person decides about it (I12)."""
    left = await disputed_money.kept(session, row.order_id)
    if left > 0:
        await cases.open_case(
            session, "stray_money", dispute_id(row), at, order=row.order_id, account=order.account,
            cause="left_by_a_lost_dispute", amount=left,
        )  # fmt: skip


async def _is_paid_for(session: AsyncSession, order: str, unit_gross: int) -> bool:
    """Whether the rights that the order gave still stand on money: of two payments of one order, one went back before,
    and it may be that one which was disputed."""
    held = [right for right in await subscriptions.of_order(session, order, lock=True) if right.state in LIVE]
    if any(right.kind == "renewing" for right in held):
        return False
    return rules.is_covered(await disputed_money.kept(session, order), unit_gross, len(held))
