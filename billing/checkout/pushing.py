"""Bringing to the provider what is wanted of a renewing subscription: calls and transactions alternate.

What is wanted of a subscription is compared with what the provider says now; only a difference is sent, under the key
of an intent for this revision. So a crash, a time-out or a second worker sends nothing twice (I14, I15).
"""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.checkout.renewing import apply_subscription
from billing.kernel.db import Database
from billing.kernel.outbox import backoff
from billing.payments import calls
from billing.payments import service as payments
from billing.payments.calls import SETTLE, NeverMade
from billing.payments.facts import ProviderBusy, ProviderUnknown
from billing.payments.gateway import Gateway
from billing.payments.gateway_renewals import ItemPrice, SetRenewal, SubscriptionFacts
from billing.subscriptions import periods, renewing, rows, wishes
from billing.subscriptions.rows import Renewal
from billing.subscriptions.rules import OVER

SET = "renewal_set"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What was wanted when the row was read."""

    key: UUID
    target: str
    subscription: str
    revision: int
    is_pushed: bool
    ends: bool
    is_paused: bool
    is_over: bool
    off_reason: str | None
    unit_gross: int
    quantity: int
    is_changing: bool


def wish_of(row: Renewal, *, is_changing: bool) -> Wish | None:
    """What is wanted; None while the provider has nothing of ours to change.

    What nobody has a right by, and what is off with its money overdue, shall be over now: an open invoice would
    otherwise be tried again (R68).
    """
    if row.provider_id is None:
        return None
    is_over = row.state in OVER or (not row.is_renewal_on and row.state == "past_due")
    return Wish(
        key=row.id, target=wishes.renewal_id(row), subscription=row.provider_id, revision=row.revision,
        is_pushed=row.pushed == row.revision, ends=not row.is_renewal_on, is_paused=row.is_paused, is_over=is_over,
        off_reason=row.off_reason, unit_gross=row.unit_gross, quantity=len(row.pupils),
        is_changing=is_changing,
    )  # fmt: skip


def difference(wish: Wish, facts: SubscriptionFacts) -> SetRenewal | None:
    """What must be changed at the provider; None when all is as wanted, or over and so beyond wishes."""
    if facts.is_over:
        return None
    if wish.is_over:
        return SetRenewal(key="", reference="", subscription_id=wish.subscription, is_over=True)
    price = ItemPrice(
        item_id=facts.item_id, provider_product=facts.provider_product, unit_amount=wish.unit_gross,
        interval=facts.interval, quantity=wish.quantity,
    )  # fmt: skip
    wanted = SetRenewal(
        key="",
        reference="",
        subscription_id=wish.subscription,
        ends=None if wish.ends == facts.ends else wish.ends,
        is_paused=None if wish.is_paused == facts.is_paused else wish.is_paused,
        price=None if wish.is_changing or price == facts.price else price,
    )
    return None if (wanted.ends, wanted.is_paused, wanted.price) == (None, None, None) else wanted


async def push(database: Database, gateway: Gateway, key: UUID, at: datetime) -> None:
    """Let the provider have what is wanted of one renewal, and take on what it says. Raises the provider's errors."""
    async with database.begin() as session:
        row = await wishes.lock(session, key)
        wish = wish_of(row, is_changing=await rows.unfinished_change(session, row.id) is not None)
    if wish is None:
        return
    facts = await gateway.renewals.read_subscription(wish.subscription)
    if await _adopt(database, wish, facts, at):
        return
    wanted = difference(wish, facts)
    if wanted is not None:
        async with database.begin() as session:
            target = f"{wish.target}:{wish.revision}"
            intent = await payments.reserve(session, SET, target, wanted, at, again=True)
        facts = await calls.set_renewal(database, gateway, intent.id, at, SetRenewal)
    async with database.begin() as session:
        await apply_subscription(session, facts, at)
        row = await wishes.lock(session, key)
        if row.revision == wish.revision and difference(wish, facts) is None:
            if await _is_answered(session, wish, facts, at):
                row.pushed, row.push_at = wish.revision, None
            else:
                row.push_at = at + SETTLE


async def _is_answered(session: AsyncSession, wish: Wish, facts: SubscriptionFacts, at: datetime) -> bool:
    """Whether every call that was sent for this renewal has its outcome: what had no answer is answered by what the
    provider says now (I15). An older wish may yet take effect unseen; until then a newer one is not said to be so."""
    is_all = True
    for intent in await payments.unanswered(session, SET, wish.target):
        if facts.stands_as(msgspec.convert(intent.request, SetRenewal)):
            await payments.record_done(session, intent.id, f"{facts.subscription_id}:{intent.id.hex}", at)
        elif intent.sent_at is None or at - intent.sent_at >= SETTLE:
            await payments.record_refused(session, intent.id, "overtaken", at)
        else:
            is_all = False
    return is_all


async def _adopt(database: Database, wish: Wish, facts: SubscriptionFacts, at: datetime) -> bool:
    """Take on what was decided on the provider's own pages, if nothing else was wanted since: renewal turned off there,
    or on again by whoever had turned it off there or here. Answers whether there was such a thing."""
    if not wish.is_pushed or facts.is_over or wish.is_over or facts.ends == wish.ends:
        return False
    if not facts.ends and wish.off_reason not in {"asked", "at_provider"}:
        return False
    async with database.begin() as session:
        row = await wishes.lock(session, wish.key)
        if row.revision != wish.revision:
            return True
        if facts.ends:
            await renewing.turn_off(session, row, at, reason="at_provider")
        else:
            wishes.turned_on(session, row, at, actor="provider_page")
            await periods.settle(session, row, at)
    return True


async def bring(database: Database, gateway: Gateway, key: UUID, at: datetime) -> None:
    """`push`, put off while the provider cannot say, and begun again after an attempt that had no effect."""
    try:
        await push(database, gateway, key, at)
    except NeverMade:
        await _put_off(database, key, at, is_soon=True)
    except (ProviderBusy, ProviderUnknown):
        await _put_off(database, key, at)


async def _put_off(database: Database, key: UUID, at: datetime, *, is_soon: bool = False) -> None:
    async with database.begin() as session:
        row = await wishes.lock(session, key)
        if row.push_at is not None:
            row.tries += 1
            row.push_at = at + backoff(1 if is_soon else row.tries)
