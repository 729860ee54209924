"""Handling one event: read the object it is about again, with no transaction open, then judge it in one (I01, I14)."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.kernel.work import Work, some_at_once
from billing.payments.facts import (
    Checkout,
    DisputeFacts,
    ProviderError,
    ProviderMissing,
    ProviderUnreadable,
    RefundFacts,
)
from billing.payments.gateway import Gateway
from billing.payments.gateway_renewals import ForeignSubscription, MandateFacts, SubscriptionFacts
from billing.payments.rules import ForeignObject
from webhooks import service
from webhooks.service import HANDLE, Claimed, End
from webhooks.translate import Target

BATCH: Final = 32

Facts = Checkout | RefundFacts | DisputeFacts | SubscriptionFacts | MandateFacts

log = structlog.get_logger(__name__)


class Rooms(msgspec.Struct, frozen=True, kw_only=True):
    """Who judges what: each takes the facts as they stand, inside a transaction, and answers the outcome in a word."""

    checkout: Callable[[AsyncSession, Checkout, datetime], Awaitable[str]]
    refund: Callable[[AsyncSession, RefundFacts, datetime], Awaitable[str]]
    dispute: Callable[[AsyncSession, DisputeFacts, datetime], Awaitable[str]]
    subscription: Callable[[AsyncSession, SubscriptionFacts, datetime], Awaitable[str]]
    mandate: Callable[[AsyncSession, MandateFacts, datetime], Awaitable[str]]
    is_bound: Callable[[AsyncSession, str], Awaitable[bool]]


def handling(database: Database, gateway: Gateway, rooms: Rooms) -> Work:
    """The work of handling kept events, a batch at a time, each in a transaction of its own (I24)."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            claimed = await service.claim(session, at, BATCH)
        await some_at_once(HANDLE, claimed, lambda event: _handle(database, gateway, rooms, event, at))
        return len(claimed)

    return Work(name=HANDLE, queue="webhooks", next_due=service.next_due, run=run)


async def _handle(database: Database, gateway: Gateway, rooms: Rooms, event: Claimed, at: datetime) -> None:
    try:
        if event.target.subject == "nothing":
            await _finish(database, event, "ignored", event.target.why, at)
            return
        facts = await _read(gateway, event.target)
        if facts is None:
            await _finish(database, event, "ignored", "no payment page of ours", at)
            return
        if isinstance(facts, SubscriptionFacts):
            await _bind(database, gateway, rooms, facts, at)
        async with database.begin() as session:
            note = await _judge(session, rooms, facts, at)
            state: End = "ignored" if note == "not_ours" else "done"
            await service.finish(session, event.id, state, note, at)
    except ForeignSubscription:
        await _finish(database, event, "ignored", "no subscription of ours", at)
    except (ProviderMissing, ProviderUnreadable, ForeignObject) as fault:
        why = str(fault.facts.get("why") or fault.facts.get("reason") or fault.code)
        await _finish(database, event, "parked", f"{type(fault).__name__}: {why}"[:300], at)
    except ProviderError as fault:
        async with database.begin() as session:
            await service.put_off(session, event.id, type(fault).__name__, at, is_ours=False)
    except Exception as fault:
        log.exception("event_failed", event_id=event.id, type=event.type, tries=event.tries)
        async with database.begin() as session:
            await service.put_off(session, event.id, type(fault).__name__, at, is_ours=True)


async def _read(gateway: Gateway, target: Target) -> Facts | None:
    match target.subject:
        case "checkout":
            return await gateway.read_checkout(target.id)
        case "payment":
            return await gateway.checkout_of(target.id)
        case "refund":
            return await gateway.read_refund(target.id)
        case "subscription":
            return await gateway.renewals.read_subscription(target.id)
        case "invoice":
            subscription = await gateway.renewals.subscription_of(target.id)
            return None if subscription is None else await gateway.renewals.read_subscription(subscription)
        case "mandate":
            return await gateway.renewals.read_mandate(target.id)
        case _:
            return await gateway.read_dispute(target.id)


async def _bind(database: Database, gateway: Gateway, rooms: Rooms, facts: SubscriptionFacts, at: datetime) -> None:
    """A subscription not seen before is ours only through a payment page of ours that has begun it (S12)."""
    async with database.begin() as session:
        is_known = await rooms.is_bound(session, facts.subscription_id)
    page = None if is_known else await gateway.renewals.page_of(facts.subscription_id)
    if page is not None:
        async with database.begin() as session:
            await rooms.checkout(session, page, at)


async def _judge(session: AsyncSession, rooms: Rooms, facts: Facts, at: datetime) -> str:
    if isinstance(facts, Checkout):
        return await rooms.checkout(session, facts, at)
    if isinstance(facts, RefundFacts):
        return await rooms.refund(session, facts, at)
    if isinstance(facts, SubscriptionFacts):
        return await rooms.subscription(session, facts, at)
    if isinstance(facts, MandateFacts):
        return await rooms.mandate(session, facts, at)
    return await rooms.dispute(session, facts, at)


async def _finish(database: Database, event: Claimed, state: End, note: str, at: datetime) -> None:
    async with database.begin() as session:
        await service.finish(session, event.id, state, note, at)
