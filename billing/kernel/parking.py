"""What was tried too often and waits for people, of every sort alike: listed, and tried again once they say so."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Base, wake

LISTED = 100


class Sort(msgspec.Struct, frozen=True, kw_only=True):
    """A sort of work: rows of `table` in the state `parked`. Tried again they are in the state `waiting`, and `work` is
    rung for; only those that `may` be.

    `kind`, `why` and `since` are columns: what it is, what went wrong, when it came or was due. `told` and `read` turn
    a key into an id that people read, and back; `read` raises ValueError or NotFound for what is none.
    """

    name: str
    table: type[Base]
    kind: Any
    why: Any
    since: Any
    waiting: str
    work: str
    told: Callable[[Any], str]
    read: Callable[[str], Any]
    may: ColumnElement[bool] | None = None


class Parked(msgspec.Struct, frozen=True):
    """One piece of work that waits."""

    sort: str
    id: str
    kind: str
    why: str
    since: datetime


async def parked(session: AsyncSession, sort: Sort) -> tuple[list[Parked], int]:
    """The first of them, and how many there are in all."""
    key, state = _columns(sort)
    query = select(key, sort.kind, sort.why, sort.since).where(state == "parked").order_by(key).limit(LISTED)
    rows = [Parked(sort.name, sort.told(row[0]), row[1], row[2] or "", row[3]) for row in await session.execute(query)]
    return rows, int(await session.scalar(select(func.count()).where(state == "parked")) or 0)


async def try_again(session: AsyncSession, sort: Sort, at: datetime, ids: Collection[str] | None = None) -> set[str]:
    """Try these again now, or all of the sort; answers the ids of those that were parked and may be."""
    key, state = _columns(sort)
    again = update(sort.table).where(state == "parked")
    if sort.may is not None:
        again = again.where(sort.may)
    if ids is not None:
        again = again.where(key.in_([sort.read(each) for each in ids]))
    found = await session.scalars(
        again.values({state: sort.waiting, sort.why: None, _column(sort, "tries"): 0, _column(sort, "due_at"): at})
        .returning(key)
        .execution_options(synchronize_session=False)
    )
    done = {sort.told(each) for each in found}
    if done:
        wake(session, (sort.work,))
    return done


def _columns(sort: Sort) -> tuple[Any, Any]:
    return _column(sort, "id"), _column(sort, "state")


def _column(sort: Sort, name: str) -> Any:
    return getattr(sort.table, name)
