"""Calling the provider about a reserved intent, so that no crash, time-out or second caller matters (I14, I15).

Transactions and calls alternate here: say that we are about to call (commit), call with no transaction open, write
down what came of it (commit).
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from billing.kernel.db import Database
from billing.payments import service
from billing.payments.facts import (
    Checkout,
    OpenCheckout,
    OpenRefund,
    ProviderBusy,
    ProviderNotNow,
    ProviderRefused,
    ProviderUnknown,
    RefundFacts,
)
from billing.payments.gateway import Gateway
from billing.payments.gateway_renewals import ChangeRenewal, SetRenewal, SubscriptionFacts
from billing.payments.rules import Intent

T = TypeVar("T")

SLACK = timedelta(minutes=10)
"""How far the provider's clock may be behind ours when we look for what we sent."""


SETTLE = timedelta(minutes=1)
"""How long a refund, or anything still without an answer, may take effect unseen; only then is "not found" one."""


class NeverMade(ProviderRefused):
    """The provider surely did not do it; reserve again for another attempt."""

    def __init__(self) -> None:
        super().__init__("The call had no effect; a new attempt may be made.", reason="never_made", status=404)


class _Act(msgspec.Struct, Generic[T], frozen=True):
    """How one kind of intent is sent, found again, read, and what its object is called there."""

    send: Callable[[Intent], Awaitable[T]]
    find: Callable[[Intent], Awaitable[T | None]]
    read: Callable[[str], Awaitable[T]]
    name: Callable[[T], str]
    settle: timedelta = timedelta(0)


async def open_checkout(
    database: Database, gateway: Gateway, intent_id: UUID, at: datetime, *, private: Mapping[str, str] | None = None
) -> Checkout:
    """The payment page of a reserved checkout intent, opened now or earlier. `private` are fields of the request that
    are not kept with the intent (addresses with a token in them) and must be the same at every call.

    Raises ProviderRefused (over; NeverMade: reserve again), ProviderBusy (later), ProviderUnknown (later, with the
    same intent).
    """

    async def send(intent: Intent) -> Checkout:
        return await gateway.open_checkout(msgspec.convert({**intent.request, **(private or {})}, OpenCheckout))

    async def find(intent: Intent) -> Checkout | None:
        return await gateway.find_checkout(intent.request["reference"], intent.created_at - SLACK)

    act = _Act(send, find, gateway.read_checkout, lambda page: page.session_id)
    return await _perform(database, intent_id, act, at)


async def make_refund(database: Database, gateway: Gateway, intent_id: UUID, at: datetime) -> RefundFacts:
    """The refund of a reserved refund intent, made now or earlier. Raises as `open_checkout` does."""

    async def send(intent: Intent) -> RefundFacts:
        return await gateway.refund(msgspec.convert(intent.request, OpenRefund))

    async def find(intent: Intent) -> RefundFacts | None:
        return await gateway.find_refund(intent.request["payment_id"], intent.request["reference"])

    act = _Act(send, find, gateway.read_refund, lambda refund: refund.refund_id, SETTLE)
    return await _perform(database, intent_id, act, at)


async def set_renewal(
    database: Database, gateway: Gateway, intent_id: UUID, at: datetime, wants: type[SetRenewal | ChangeRenewal]
) -> SubscriptionFacts:
    """The subscription as a reserved intent wants it to stand, set or changed now or earlier. Raises as
    `open_checkout` does; a change that cannot be paid is refused and not made."""
    renewals = gateway.renewals

    async def send(intent: Intent) -> SubscriptionFacts:
        wanted = msgspec.convert(intent.request, wants)
        if isinstance(wanted, ChangeRenewal):
            return await renewals.change_renewal(wanted)
        return await renewals.set_renewal(wanted)

    async def find(intent: Intent) -> SubscriptionFacts | None:
        wanted = msgspec.convert(intent.request, wants)
        facts = await renewals.read_subscription(wanted.subscription_id)
        return facts if facts.stands_as(wanted) else None

    async def read(name: str) -> SubscriptionFacts:
        return await renewals.read_subscription(name.partition(":")[0])

    act = _Act(send, find, read, lambda facts: f"{facts.subscription_id}:{intent_id.hex}", SETTLE)
    return await _perform(database, intent_id, act, at)


async def _perform(database: Database, intent_id: UUID, act: _Act[T], at: datetime) -> T:
    async with database.begin() as session:
        intent, step = await service.begin_try(session, intent_id, at)
    if step == "over":
        raise NeverMade
    if step == "read" and intent.provider_id is not None:
        return await act.read(intent.provider_id)
    if step == "look_up":
        return await _look_up(database, intent, act, at)
    try:
        made = await act.send(intent)
    except ProviderRefused as fault:
        async with database.begin() as session:
            await service.record_refused(session, intent.id, fault.reason, at)
        raise
    except ProviderNotNow as fault:
        async with database.begin() as session:
            await service.record_not_now(session, intent.id, str(fault.facts["reason"]), at)
        raise
    except ProviderBusy as fault:
        async with database.begin() as session:
            await service.record_not_done(session, intent.id, fault.code)
        raise
    except ProviderUnknown as fault:
        async with database.begin() as session:
            await service.record_unknown(session, intent.id, type(fault).__name__)
        raise
    async with database.begin() as session:
        await service.record_done(session, intent.id, act.name(made), at)
    return made


async def _look_up(database: Database, intent: Intent, act: _Act[T], at: datetime) -> T:
    found = await act.find(intent)
    # Without a fault the last send has no answer yet: it may be on its way right now, in another click's hands (F39).
    settle = act.settle if intent.fault else max(act.settle, SETTLE)
    if found is None and intent.sent_at is not None and at - intent.sent_at < settle:
        raise ProviderUnknown("It may still take effect.", retry_after=int(settle.total_seconds()))
    async with database.begin() as session:
        if found is not None:
            await service.record_done(session, intent.id, act.name(found), at)
            return found
        await service.record_refused(session, intent.id, "never_made", at)
    raise NeverMade
