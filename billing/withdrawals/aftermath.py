"""What follows the early end of a paid right, whoever ended it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import TrialPolicy
from billing.kernel.outbox import Consumer, Message
from billing.subscriptions import service as subscriptions
from billing.trials import service as trials

_UNDONE = frozenset({"withdrawn", "refunded", "disputed"})


def on_right_ended(policy: TrialPolicy) -> Consumer:
    """A trial that needed no notice, because it was paid for, needs one again: nobody falls back untold (R21)."""

    async def reopen(session: AsyncSession, message: Message, at: datetime) -> None:
        pupil = message.facts["pupil"]
        for row in await subscriptions.of_pupils(session, (pupil,)):
            if subscriptions.subscription_id(row) == message.facts["subscription"] and row.state in _UNDONE:
                await trials.reopen(session, (pupil,), policy, at)

    return reopen
