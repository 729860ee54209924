"""The due work of outgoing webhooks.

Endpoints that are well and those in trouble are served apart: one that hangs holds up the others for one time-out at
most, once, and from then on only its own kind.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.kernel.outbox import Consumer
from billing.kernel.sealing import NotSealedHere
from billing.kernel.work import Work, one_by_one
from webhooks import outgoing_queue as queue
from webhooks import outgoing_service as service
from webhooks import outgoing_telling as telling
from webhooks.outgoing_post import Post
from webhooks.outgoing_queue import RESEND, SEND
from webhooks.outgoing_rules import EVENTS, Outcome, Round

TELL: Final = "outgoing.tell"
FORGET: Final = "outgoing.forget"
NEWS: Final = 500
OLD: Final = 1000


def consumers() -> dict[str, tuple[Consumer, ...]]:
    """The messages that outsiders are told of; changes of rights come from the front desk's news."""
    return {kind: (telling.tell,) for kind in EVENTS if kind != telling.CHANGED}


def told_after(work: Work, database: Database) -> Work:
    """The same work, after which the news are told at once: for the work that numbers them."""

    async def run(at: datetime) -> int:
        done = await work.run(at)
        if done:
            database.doorbell.ring((TELL,))
        return done

    return Work(name=work.name, queue=work.queue, next_due=work.next_due, run=run)


def works(database: Database, post: Post, secret: str) -> tuple[Work, ...]:
    """Telling the news, sending, sending again to those in trouble, forgetting."""

    async def tell(at: datetime) -> int:
        async with database.begin() as session:
            return await telling.tell_news(session, at, NEWS)

    async def forget(at: datetime) -> int:
        async with database.begin() as session:
            return await service.forget(session, at, OLD)

    return (
        Work(name=TELL, queue="webhooks", next_due=telling.next_news, run=tell),
        _sending(SEND, "webhooks", database, post, secret, is_failing=False),
        _sending(RESEND, "bulk", database, post, secret, is_failing=True),
        Work(name=FORGET, queue="bulk", next_due=service.next_forgotten, run=forget),
    )


def _sending(name: str, lane: str, database: Database, post: Post, secret: str, *, is_failing: bool) -> Work:
    async def next_due(session: AsyncSession) -> datetime | None:
        return await queue.next_due(session, is_failing=is_failing)

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            rounds = await queue.claim(session, at, is_failing=is_failing)

        async def one(given: Round) -> None:
            begun = perf_counter()
            outcomes = await _carry(post, secret, given)
            ended = at + timedelta(seconds=int(perf_counter() - begun))
            async with database.begin() as session:
                await queue.record(session, given, outcomes, at, ended)

        await asyncio.gather(*(one_by_one(name, (given,), one) for given in rounds))
        return sum(max(len(given.parcels), 1) for given in rounds)

    return Work(name=name, queue=lane, next_due=next_due, run=run)


async def _carry(post: Post, secret: str, given: Round) -> Sequence[Outcome]:
    try:
        secrets = [service.unsealed(secret, given.endpoint, sealed) for sealed in given.secrets]
    except NotSealedHere:  # our own key was changed: the endpoint's secret must be rotated
        return [Outcome(trouble="secret_unreadable")] * len(given.parcels)
    return await post.deliver(given.url, secrets, given.parcels)
