"""Outgoing webhooks at work: real PostgreSQL, the product's own works, receivers that are real servers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, text

from billing.kernel import outbox
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.work import Work
from tests.outgoing.receiver import Receiver
from webhooks import outgoing_service as service
from webhooks import outgoing_tasks as tasks
from webhooks.outgoing_post import Post
from webhooks.outgoing_queue import RESEND, SEND, endpoint_id
from webhooks.outgoing_rules import EVENTS, EventName
from webhooks.outgoing_tables import DeliveryRow, EndpointRow

SECRET = "k" * 40
PATIENCE = 1.0
"""Seconds a try may take here; the product waits longer."""


class Yard:
    """Where deliveries are made and carried; time passes when told."""

    def __init__(self, database: Database, clock: FixedClock, post: Post | None = None) -> None:
        self.database, self.clock = database, clock
        self.post = post or Post(loopback=True, timeout=PATIENCE)
        works = (outbox.relay(database, tasks.consumers()), *tasks.works(database, self.post, SECRET))
        self.works: dict[str, Work] = {work.name: work for work in works}

    async def endpoint(self, receiver: Receiver | str, *events: EventName) -> tuple[str, str]:
        """An endpoint for these events, all unless said otherwise: its id and its secret."""
        url = receiver if isinstance(receiver, str) else receiver.url
        async with self.database.begin() as session:
            row, clear = await service.create(
                session, url, events or EVENTS, self.clock.now(), secret=SECRET, loopback=True
            )
            return endpoint_id(row), clear

    async def happens(self, kind: EventName, number: int = 1, **facts: Any) -> None:
        """That many of one kind happen, and are handed to those who want to know."""
        async with self.database.begin() as session:
            for n in range(number):
                outbox.put(session, kind, self.clock.now(), **({"trial": f"trl_{n}", "pupil": f"p{n}"} | facts))
        await self.run(outbox.RELAY)

    async def run(self, *names: str) -> int:
        """The named works once each, or, without a name, all sending until nothing is due."""
        if names:
            return sum([await self.works[name].run(self.clock.now()) for name in names])
        total = 0
        while done := await self.run(SEND, RESEND):
            total += done
        return total

    async def due(self) -> datetime | None:
        """When something may next be sent."""
        async with self.database.begin() as session:
            found = [await self.works[name].next_due(session) for name in (SEND, RESEND)]
        return min((at for at in found if at is not None), default=None)

    async def wait(self) -> bool:
        """Let time pass until something may be sent, and send it; False: nothing will ever be."""
        due = await self.due()
        if due is None:
            return False
        self.clock.move(max(due, self.clock.now()))
        return bool(await self.run())

    async def rows(self) -> Sequence[DeliveryRow]:
        """All deliveries, oldest first."""
        async with self.database.begin() as session:
            return (await session.scalars(select(DeliveryRow).order_by(DeliveryRow.message_id))).all()

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]

    async def only(self, endpoint: str) -> EndpointRow:
        """An endpoint as it stands."""
        async with self.database.begin() as session:
            return await service.get(session, endpoint)

    async def say(self, statement: str, **values: Any) -> Any:
        """One statement of SQL."""
        async with self.database.begin() as session:
            return await session.execute(text(statement), values)


def data_of(receiver: Receiver) -> list[dict[str, Any]]:
    """What a receiver was told, in the order in which it came."""
    return [msgspec.json.decode(body)["data"] for body in receiver.bodies]
