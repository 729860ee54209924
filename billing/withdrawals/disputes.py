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
from billing.payments.facts import DisputeFacts, ProviderBusy
from billing.subscriptions import service as subscriptions
from billing.subscriptions.rules import LIVE
from billing.withdrawals import dispute_rules as rules
from billing.withdrawals import disputed_money, owed
from billing.withdrawals.dispute_rules import State
from billing.withdrawals.disputed_rights import give_again
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

    Told again, in any order, heard of or not in between, it ends the same: the order is locked, and what the dispute
    says now is what counts (I01). BLIK disputes go the same way; Przelewy24 has none. `at` is not later than the
    reading. Raises ProviderBusy where the facts may be older than what is known: read again then.
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
    before = cast("State", row.state)
    was_taken, takes = row.taken_at is not None, rules.takes_money(facts.state)
    after = rules.turn(before, facts.state, is_taken=was_taken)
    if after is not None and row.closed_at is not None and at <= row.closed_at:
        raise ProviderBusy("Read before, or as, the dispute was closed: it is read again.", retry_after=5)
    is_older = (was_taken and not takes) or (after is None and rules.state_of(facts.state) != before)
    row.told = row.told if is_older else facts.state
    if takes and (not was_taken or (before, after) == ("won", "lost")):
        row.taken_at = row.taken_at or at
        await ledger.book_chargeback(session, row.order_id, dispute_id(row), row.amount, at)
    if after is not None:
        await _turn(session, row, order, before, after, at)
    await session.flush()
    return f"dispute {row.state}: {row.order_id}"


async def _opened(session: AsyncSession, row: DisputeRow, order: _Order, at: datetime) -> None:
    audit.record(
        session, at, "dispute.opened", dispute_id(row), account=order.account, after="open", reason=row.reason,
        order=row.order_id, amount=row.amount,
    )  # fmt: skip
    await _show(session, row, order, at)


async def _show(session: AsyncSession, row: DisputeRow, order: _Order, at: datetime) -> None:
    """Finance sees it, again if it was over."""
    await cases.open_case(
        session, "dispute", dispute_id(row), at, order=row.order_id, account=order.account, reopen=True,
        amount=row.amount, reason=row.reason, stripe=row.stripe_dispute,
    )  # fmt: skip
    await apply_effect(session, "dispute_opened", row.order_id, at)


async def _turn(
    session: AsyncSession, row: DisputeRow, order: _Order, before: State, after: State, at: datetime
) -> None:
    row.state, row.closed_at = rules.move(before, after), None if after == "open" else at
    audit.record(
        session, at, "dispute.moved", dispute_id(row), account=order.account, before=before, after=after,
        order=row.order_id,
    )  # fmt: skip
    await session.flush()
    if before != "open":
        await _show(session, row, order, at)
    if after == "lost":
        await _lost(session, row, order, at)
    elif after == "won":
        await _won(session, row, order, before, at)
    if after != "open":
        await cases.close_about(session, "dispute", dispute_id(row), after, at, "the bank has decided")


async def _lost(session: AsyncSession, row: DisputeRow, order: _Order, at: datetime) -> None:
    await cases.close_about(session, "stray_money", dispute_id(row), "explained", at, "the bank took it after all")
    await payments.payments_of(session, row.order_id, lock=True)
    await owed.settle_what_a_bank_took(session, await checkout.read_order(session, row.order_id), row.payment_id, at)
    if not await _is_paid_for(session, row.order_id, order.unit_gross):
        await apply_effect(session, "dispute_lost", row.order_id, at)
        outbox.put(session, "dispute.lost", at, order=row.order_id, account=order.account)
        await _look_at_rest(session, row, order, at)


async def _won(session: AsyncSession, row: DisputeRow, order: _Order, before: State, at: datetime) -> None:
    await apply_effect(session, "dispute_won", row.order_id, at)
    if row.taken_at is not None:
        await ledger.book_chargeback_reversed(session, dispute_id(row), at)
    if before == "lost":
        await cases.close_about(session, "stray_money", dispute_id(row), "explained", at, "the bank gave it back")
        for_nothing = await give_again(session, row.order_id, order.account, order.unit_gross, at)
        if for_nothing > 0:
            await cases.open_case(
                session, "stray_money", dispute_id(row), at, order=row.order_id, account=order.account, reopen=True,
                cause="won_after_it_was_lost", amount=for_nothing,
            )  # fmt: skip


async def _look_at_rest(session: AsyncSession, row: DisputeRow, order: _Order, at: datetime) -> None:
    """A bank may take a part only; what is left then buys nothing any more, and a person decides about it (I12)."""
    left = await disputed_money.without_right(session, row.order_id)
    if left > 0:
        await cases.open_case(
            session, "stray_money", dispute_id(row), at, order=row.order_id, account=order.account, reopen=True,
            cause="left_by_a_lost_dispute", amount=left,
        )  # fmt: skip


async def _is_paid_for(session: AsyncSession, order: str, unit_gross: int) -> bool:
    """Whether the rights that the order gave still stand on money: of two payments of one order, one went back before,
    and it may be that one which was disputed."""
    held = [right for right in await subscriptions.of_order(session, order, lock=True) if right.state in LIVE]
    if any(right.kind == "renewing" for right in held):
        return False
    return rules.is_covered(await disputed_money.kept(session, order), unit_gross, len(held))
