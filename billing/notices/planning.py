"""Which letters the facts call for: trials whose time to tell has come, and messages of the other rooms."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import find_accounts
from billing.catalog.values import TrialPolicy
from billing.checkout.service import read_order
from billing.kernel.outbox import Consumer, Message
from billing.notices import service
from billing.notices.crowds import tell_of_plain
from billing.trials import service as trials
from billing.trials import untold
from billing.withdrawals.school_blocks import on_blocks_set

CROWD = 10_000
_BATCH = 200


async def plan_trial_endings(session: AsyncSession, policy: TrialPolicy, at: datetime) -> int:
    """Give up days that can no longer be told of in time, and plan the telling of those that can (R21)."""
    late = await untold.too_late(session, at, _BATCH)
    for row in late:
        day = row.reverts_on
        await trials.prolong(session, row, policy, at)
        await service.day_moved(session, row, day, at)
    planned, others = await tell_of_plain(session, CROWD, policy, at)
    for row in others[:_BATCH]:
        await service.tell_of_trial(session, row, policy, at)
    return len(late) + planned + len(others[:_BATCH])


async def on_registered(session: AsyncSession, message: Message, at: datetime) -> None:
    """An address is to be confirmed (R90)."""
    account = message.facts["account"]
    person = (await find_accounts(session, (account,))).get(account)
    if person is not None and not person.is_active:
        await service.plan_letter(session, account, "confirm_email", message.id.hex, at)


def _letter(kind: str, about: str, *more: str) -> Consumer:
    """A letter of a kind about one fact of the message, once, to the account it names, if it still names one. The
    letter keeps that fact and `more`."""

    async def plan(session: AsyncSession, message: Message, at: datetime) -> None:
        facts = message.facts
        if facts.get("account") is not None:
            kept = {name: facts[name] for name in (about, *more)}
            await service.plan_letter(session, facts["account"], kind, facts[about], at, **kept)

    return plan


async def on_withdrawal(session: AsyncSession, message: Message, at: datetime) -> None:
    """A declaration is answered at once, to the address it gave: acknowledged, or politely refused (R71, R81)."""
    kind = "withdrawal_received" if message.kind == "withdrawal.received" else "withdrawal_too_late"
    facts = {name: message.facts[name] for name in ("order", "withdrawal", "locale")}
    order = await read_order(session, facts["order"])
    to = order.account or f"order:{facts['order']}"  # the buyer may be erased, and the link of the order still opens it
    await service.plan_letter(session, to, kind, facts["withdrawal"], at, **facts)


CONSUMERS: dict[str, tuple[Consumer, ...]] = {
    "account.registered": (on_registered,),
    "order.paid": (_letter("order_confirmation", "order"),),  # the contract on a durable medium (R46)
    "order.failed": (_letter("payment_failed", "order"),),  # the bank said no: a kind letter (R53)
    "refund.reserved": (_letter("money_returned", "refund", "order"),),  # what bought nothing goes back (R49, R57)
    "refund.failed": (_letter("refund_by_bank", "refund", "order"),),  # a transfer needs the buyer's agreement (R75)
    "dispute.lost": (_letter("dispute_lost", "order"),),  # the right has ended, and why (R60)
    "complaint.answered": (_letter("complaint_answer", "complaint"),),  # on a durable medium (R80)
    "school.blocks_set": (on_blocks_set,),
    "withdrawal.received": (on_withdrawal,),
    "withdrawal.late": (on_withdrawal,),
}
