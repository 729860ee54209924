"""Many rows at once: copied into a temporary table of this transaction, where one statement of each room takes them up.

The table is the session's own and empty again after the commit. Each statement reaches a room's table by its key, once
for each arriving row, so a batch costs the same whether the table holds ten thousand rows or ten million.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.ids import new_id

_BY_KEY: Final = (
    text("set local enable_hashjoin = off"),
    text("set local enable_mergejoin = off"),
)


async def stage(
    session: AsyncSession,
    made_by: Sequence[TextClause],
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Make the temporary table, empty, by these statements, and copy `rows` into it."""
    for statement in (*made_by, *_BY_KEY):
        await session.execute(statement)
    raw = await (await session.connection()).get_raw_connection()
    link = raw.driver_connection
    if not isinstance(link, asyncpg.Connection):
        raise TypeError("COPY is spoken by asyncpg's connections")
    await link.copy_records_to_table(table, records=rows, columns=columns)


def id_head(at: datetime) -> str:
    """The first 15 letters of every `new_id(at)`; the database adds the random rest, where it makes rows itself."""
    return str(new_id(at))[:15]
