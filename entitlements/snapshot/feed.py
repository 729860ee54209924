"""Which accounts changed: every row of the change log once, whatever the order in which transactions commit.

A position is a snapshot of the database (`pg_current_snapshot`): which transactions were done, and which were not. The
next reading takes the rows of exactly those that were not, and are now. Nothing is ordered by a number that was given
out before the commit, so no late commit is missed.
"""

from asyncio import Event, timeout
from typing import Any, Final

import asyncpg
from sqlalchemy.engine import Engine

from billing.kernel.clock import ticks
from billing.kernel.line import BY_INDEX, server_of
from entitlements.waking import CHANNEL, FOLLOWER

_PATIENCE: Final = 5.0
KEPT: Final = 3600 * 10**9
"""Nanoseconds of silence after which rows may have been missed. They are kept for a day; an hour leaves room for any
disagreement of clocks."""

_WHO: Final = (
    "select system_identifier::text || pg_walfile_name(pg_current_wal_insert_lsn())::char(8) from pg_control_system()"
)
_NOW: Final = "select pg_current_snapshot()::text"
_CHANGED: Final = """
select now.snapshot, now.is_later, c.account, c.pupil, c.school
from (
    select pg_current_snapshot()::text as snapshot,
           pg_snapshot_xmin(pg_current_snapshot()) >= pg_snapshot_xmin($1::text::pg_snapshot) as is_later
) now
left join lateral (
    select account, pupil, school from entitlement_change where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
    union all
    select account, pupil, school from entitlement_change
    where xid = any (array(select pg_snapshot_xip($1::text::pg_snapshot)))
) c on true
"""
_LINKED: Final = """
select account from entitlement_link where pupil = any ($1::text[])
union
select l.account from entitlement_pupil p join entitlement_link l on l.pupil = p.pupil where p.school = any ($2::text[])
"""


class Gap(Exception):
    """Changes may have been missed: the database is another one, an earlier one, or was not heard for too long."""


class Feed:
    """Reads the change log over a connection of its own, on which it is also woken."""

    def __init__(self, engine: Engine) -> None:
        self._options = server_of(engine)
        self._link: Any = None
        self._who: str | None = None
        self._position: str | None = None
        self._next: str | None = None
        self._heard = 0
        self.woken = Event()

    async def begin(self) -> None:
        """Follow from this moment on."""
        self._who, self._position = None, None
        link = await self._connected()
        self._heard = ticks()
        self._position = await link.fetchval(_NOW)

    async def changed(self) -> set[str]:
        """The accounts whose facts changed since the position. It moves on by `done`, when they have been dealt with.

        Raises Gap, and what asyncpg raises.
        """
        if ticks() - self._heard > KEPT:
            raise Gap
        link = await self._connected()
        async with timeout(_PATIENCE):
            rows = await link.fetch(_CHANGED, self._position)
            self._next, is_later = rows[0][:2]
            if not is_later:
                raise Gap
            accounts = {account for _, _, account, _, _ in rows if account is not None}
            pupils = {pupil for _, _, account, pupil, _ in rows if account is None and pupil is not None}
            schools = {school for *_, school in rows if school is not None}
            if pupils or schools:
                accounts.update(row[0] for row in await link.fetch(_LINKED, list(pupils), list(schools)))
        return accounts

    def done(self, begun: int) -> None:
        """What `changed` told last has been dealt with; it was asked for at this instant."""
        self._position, self._heard = self._next, begun

    def drop(self) -> None:
        """Cut the connection; the next reading opens another, and goes on at the same position."""
        link, self._link = self._link, None
        if link is not None:
            link.terminate()

    async def _connected(self) -> Any:
        if self._link is not None and not self._link.is_closed():
            return self._link
        way: dict[str, Any] = self._options | {
            "server_settings": BY_INDEX | {"application_name": FOLLOWER},
            "timeout": _PATIENCE,
            "command_timeout": _PATIENCE,
        }
        self._link = await asyncpg.connect(**way)
        await self._link.add_listener(CHANNEL, self._wake)
        self._link.add_termination_listener(self._wake)
        who = await self._link.fetchval(_WHO)
        if self._who not in (None, who):
            raise Gap
        self._who = who
        return self._link

    def _wake(self, *_: Any) -> None:
        self.woken.set()
