"""Which letters the facts call for: trials whose time to tell has come, and messages of the other rooms."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import find_accounts
from billing.catalog.values import TrialPolicy
from billing.checkout.service import read_order
from billing.kernel.outbox import Consumer, Message
from billing.notices import service
from billing.notices.planning_money import on_complaint_answered, on_dispute_lost, on_refund_failed
from billing.trials import service as trials
from billing.withdrawals.school_blocks import on_blocks_set

_BATCH = 200


async def plan_trial_endings(session: AsyncSession, policy: TrialPolicy, at: datetime) -> int:
    """Give up days that can no longer be told of in time, and plan the telling of those that can (R21)."""
    late = await trials.too_late_to_tell(session, at, _BATCH)
    for row in late:
        day = row.reverts_on
        await trials.prolong(session, row, policy, at)
        await service.day_moved(session, row, day, at)
    due = await trials.to_tell(session, at, _BATCH)
    for row in due:
        await service.tell_of_trial(session, row, policy, at)
    return len(late) + len(due)


async def on_registered(session: AsyncSession, message: Message, at: datetime) -> None:
    """An address is to be confirmed (R90)."""
    account = message.facts["account"]
    person = (await find_accounts(session, (account,))).get(account)
    if person is not None and not person.is_active:
        await service.plan_letter(session, account, "confirm_email", message.id.hex, at)


async def on_order_paid(session: AsyncSession, message: Message, at: datetime) -> None:
    """The contract is confirmed on a durable medium (R46)."""
    if message.facts["account"] is not None:
        order = message.facts["order"]
        await service.plan_letter(session, message.facts["account"], "order_confirmation", order, at, order=order)


async def on_order_failed(session: AsyncSession, message: Message, at: datetime) -> None:
    """The bank said no: a kind letter (R53)."""
    if message.facts.get("account") is not None:
        order = message.facts["order"]
        await service.plan_letter(session, message.facts["account"], "payment_failed", order, at, order=order)


async def on_refund_reserved(session: AsyncSession, message: Message, at: datetime) -> None:
    """Money that bought nothing goes back, and the buyer is told why (R49, R57)."""
    if message.facts.get("account") is not None:
        refund, order = message.facts["refund"], message.facts["order"]
        await service.plan_letter(
            session, message.facts["account"], "money_returned", refund, at, refund=refund, order=order
        )


async def on_withdrawal(session: AsyncSession, message: Message, at: datetime) -> None:
    """A declaration is answered at once, to the address it gave: acknowledged, or politely refused (R71, R81)."""
    kind = "withdrawal_received" if message.kind == "withdrawal.received" else "withdrawal_too_late"
    facts = {name: message.facts[name] for name in ("order", "withdrawal", "locale")}
    order = await read_order(session, facts["order"])
    to = order.account or f"order:{facts['order']}"  # the buyer may be erased, and the link of the order still opens it
    await service.plan_letter(session, to, kind, facts["withdrawal"], at, **facts)


CONSUMERS: dict[str, tuple[Consumer, ...]] = {
    "account.registered": (on_registered,),
    "order.paid": (on_order_paid,),
    "order.failed": (on_order_failed,),
    "refund.reserved": (on_refund_reserved,),
    "refund.failed": (on_refund_failed,),
    "dispute.lost": (on_dispute_lost,),
    "complaint.answered": (on_complaint_answered,),
    "school.blocks_set": (on_blocks_set,),
    "withdrawal.received": (on_withdrawal,),
    "withdrawal.late": (on_withdrawal,),
}
