"""Keeping events: those that come in together are written by one statement, and each sender is told after its commit.

One turn of the event loop is one INSERT and one commit for all events that came in meanwhile, so under load a commit to
disk is shared by many. What holds for a sender: a yes was never said before its event was on disk; a no, or silence,
means at most that the event is there and will come once more, which changes nothing (I21, S06).
"""

from asyncio import TimerHandle, get_running_loop
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final

import asyncpg
import structlog

from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from billing.kernel.metrics import EVENTS
from billing.kernel.turns import Turns
from webhooks.translate import Head

HANDLE: Final = "webhooks.handle"
PATIENCE: Final = 5.0
"""Seconds after which a sender is told to come again."""
PAUSE: Final = 0.1
"""Seconds between two rings for handling: a ring costs as much as keeping ten events, and who has heard one goes on
until nothing is left."""

_KEEP: Final = """
    insert into stripe_event (id, type, object_id, api_version, livemode, account, body, received_at, due_at, note,
        state, tries)
    select id, type, object_id, api_version, livemode, account, body, received_at, received_at, note,
        case when note is null then 'new' else 'parked' end, 0
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::bytea[],
        $8::timestamptz[], $9::text[])
        as given (id, type, object_id, api_version, livemode, account, body, received_at, note)
    on conflict (id) do nothing
    returning id
    """
_GONE: Final = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError)

Arrived = tuple[Head, datetime]
Outcome = bool | asyncpg.PostgresError

log = structlog.get_logger(__name__)


async def keep_all(link: Any, arrived: Iterable[Arrived]) -> frozenset[str]:
    """Write these events over one of asyncpg's connections; answers the ids of those that were not there yet. One in
    trouble waits for people (S03, S09). In the order of their ids, so that groups that share some wait for each other
    and never in a circle."""
    rows = [
        (head.id, head.type, head.object_id, head.api_version, head.livemode, head.account, head.body, at, head.trouble)
        for head, at in sorted(arrived, key=_id_of)
    ]
    return frozenset(row[0] for row in await link.fetch(_KEEP, *zip(*rows, strict=True))) if rows else frozenset()


def _id_of(one: Arrived) -> str:
    return one[0].id


def tell_of(heads: Sequence[Head], new: frozenset[str]) -> bool:
    """Say what is worth saying of events that are now kept; answers whether one of them is to be handled."""
    for head in {head.id: head for head in heads if head.trouble is not None and head.id in new}.values():
        EVENTS.labels("parked").inc()
        log.error("event_parked", event_id=head.id, trouble=head.trouble)
    return any(head.trouble is None and head.id in new for head in heads)


class Intake:
    """The door's side of the inbox; one per web process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns: Turns[Outcome] = Turns(self._write, PATIENCE)
        self._arrived: dict[str, Arrived] = {}
        self._numbers = count()
        self._rung = -PAUSE
        self._ring_to_come: TimerHandle | None = None

    async def keep(self, head: Head, at: datetime) -> bool:
        """Answers after the commit whether this is the first copy. Raises Unavailable where it is not known to be kept,
        and what the database said where it refuses this very event."""
        key = str(next(self._numbers))
        self._arrived[key] = head, at
        try:
            told = await self._turns.ask((key,))
        finally:
            self._arrived.pop(key, None)
        if isinstance(told, Exception):
            raise Unavailable("The store does not answer.", code="store_unavailable") from told
        outcome = told[key]
        if isinstance(outcome, asyncpg.PostgresError):
            raise outcome
        return outcome

    async def _write(self, keys: Mapping[str, int]) -> Mapping[str, Outcome]:
        """A group, as one statement that is a transaction by itself; whose sender has gone away is left out. A
        connection on which anything but a plain refusal happened is not used again."""
        arrived = {key: self._arrived[key] for key in keys if key in self._arrived}
        async with self._database.engine.connect() as lent:
            link = (await lent.get_raw_connection()).driver_connection
            is_sound = False
            try:
                told = await self._keep(link, arrived)
                is_sound = True
            finally:
                if not is_sound:
                    await lent.invalidate()
        return told

    async def _keep(self, link: Any, arrived: Mapping[str, Arrived]) -> Mapping[str, Outcome]:
        """The group as a whole or, where the database refuses something in it, one by one: that event alone is
        refused (I24)."""
        try:
            return self._told(arrived, await keep_all(link, arrived.values()))
        except _GONE:
            raise
        except asyncpg.PostgresError as fault:
            if len(arrived) == 1:
                return dict.fromkeys(arrived, fault)
        told: dict[str, Outcome] = {}
        for key, one in arrived.items():
            told |= await self._keep(link, {key: one})
        return told

    def _told(self, arrived: Mapping[str, Arrived], new: frozenset[str]) -> dict[str, Outcome]:
        if tell_of([head for head, _ in arrived.values()], new):
            self._ring_soon()
        first: dict[str, str] = {}
        for key, (head, _) in arrived.items():
            first.setdefault(head.id, key)
        return {key: head.id in new and first[head.id] == key for key, (head, _) in arrived.items()}

    def _ring_soon(self) -> None:
        """At once or, after a ring a moment ago, at the end of the pause: that one stands for all groups until then."""
        loop = get_running_loop()
        if loop.time() >= self._rung + PAUSE:
            self._ring()
        elif self._ring_to_come is None:
            self._ring_to_come = loop.call_at(self._rung + PAUSE, self._ring)

    def _ring(self) -> None:
        self._ring_to_come, self._rung = None, get_running_loop().time()
        self._database.doorbell.ring((HANDLE,))
