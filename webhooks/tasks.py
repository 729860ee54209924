"""The mail room's due work, with the rooms that judge what comes in."""

from billing.checkout.fulfilment import apply_checkout
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments.gateway import Gateway
from billing.withdrawals.service import apply_refund
from webhooks.catching_up import catching_up
from webhooks.handling import Rooms, handling


def works(database: Database, gateway: Gateway) -> tuple[Work, ...]:
    """Handling kept events, and looking once a day for those that never came."""
    return (
        handling(database, gateway, Rooms(checkout=apply_checkout, refund=apply_refund)),
        catching_up(database, gateway),
    )
