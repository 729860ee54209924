"""When each kind of work is next due, asked again and again: a work is asked anew only when what it read has changed.

What `Work.next_due` answers hangs on the rows it reads and on nothing else, the time of day least of all. So the
statements that a work sent are kept and sent again as they are, which costs a small part of building, compiling and
mapping them anew; a work whose statements bring the same rows as before would give the same answer, and is spared.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from billing.kernel.db import Database
from billing.kernel.work import Work

Statement = tuple[str, tuple[Any, ...]]
Rows = list[list[Any]]


class _Heard(msgspec.Struct):
    """What a work sent, what that brought (None: not looked at yet), and what the work made of it."""

    statements: list[Statement]
    rows: Rows | None
    answer: datetime | None


class Survey:
    """The works' answers, each as true as if it had just been given; for one who leads all work on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heard: dict[Work, _Heard] = {}

    async def of(self, works: Iterable[Work]) -> list[tuple[Work, datetime]]:
        """When each of these is next due, for those that wait for anything; all as of one instant."""
        asked = list(works)
        async with self._database.begin() as session:
            # One snapshot for all: rows and answers belong together whoever writes meanwhile.
            link = await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            for work in asked:
                heard = self._heard.get(work)
                rows = None if heard is None else await self._rows(link, work)
                if heard is None or not heard.statements or rows != heard.rows:
                    self._heard[work] = await _ask(session, link, work, heard, rows)
        found = [(work, self._heard[work].answer) for work in asked]
        return [(work, at) for work, at in found if at is not None]

    async def _rows(self, link: AsyncConnection, work: Work) -> Rows:
        """What the work's statements bring now; just as SQLAlchemy wrote them, so nothing is compiled or mapped."""
        sent = self._heard[work].statements
        return [list((await link.exec_driver_sql(sql, values)).all()) for sql, values in sent]


async def _ask(
    session: AsyncSession, link: AsyncConnection, work: Work, before: _Heard | None, rows: Rows | None
) -> _Heard:
    """The work's own answer; `rows` are what its statements of `before` bring in the same snapshot."""
    statements: list[Statement] = []

    def listen(_link: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        statements.append((statement, tuple(given)))

    session.expunge_all()  # what another work read is no answer to this one
    event.listen(link.sync_connection, "before_cursor_execute", listen)
    try:
        answer = await work.next_due(session)
    finally:
        event.remove(link.sync_connection, "before_cursor_execute", listen)
    is_as_before = before is not None and before.statements == statements
    return _Heard(statements, rows if is_as_before else None, answer)
