"""The mail room's due work, with the rooms that judge what comes in."""

from billing.checkout.fulfilment import apply_checkout
from billing.checkout.renewing import apply_mandate, apply_subscription, is_bound
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments.gateway import Gateway
from billing.withdrawals.disputes import apply_dispute
from billing.withdrawals.service import apply_refund
from webhooks.catching_up import catching_up
from webhooks.handling import Rooms, handling

ROOMS = Rooms(
    checkout=apply_checkout,
    refund=apply_refund,
    dispute=apply_dispute,
    subscription=apply_subscription,
    mandate=apply_mandate,
    is_bound=is_bound,
)
"""Whose judgement each kind of news is."""


def works(database: Database, gateway: Gateway) -> tuple[Work, ...]:
    """Handling kept events, and looking once a day for those that never came."""
    return (
        handling(database, gateway, ROOMS),
        catching_up(database, gateway),
    )
