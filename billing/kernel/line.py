"""A connection to PostgreSQL of our own, by asyncpg itself: for one prepared statement, over and over.

It is opened when first needed, to where the engine's URL leads, and is independent of the engine's pool: when all of
that is lent out, keys are still read and rights looked up. It only reads; the server itself gives up on a statement
when nobody waits for it any more. It ends when the engine is disposed of.
"""

from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine

BY_INDEX = {
    "default_transaction_read_only": "on",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""What a connection is told whose statements look a few rows up, over and over. They are planned once, and by index:
a plan that was made while a table was small, or was not looked at yet, would go on reading all of it as it grows."""
# Words of SQLAlchemy's dialect that its URLs may hold and asyncpg does not know.
_DIALECTS_OWN = frozenset({"async_fallback", "async_creator_fn", "prepared_statement_cache_size",
                           "prepared_statement_name_func"})  # fmt: skip
FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What asyncpg raises where a statement was refused, or never came through."""
_CUT = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleSessionTimeoutError,
)


def server_of(engine: Engine) -> dict[str, Any]:
    """Where the engine's URL leads, in asyncpg's own words."""
    _, given = engine.dialect.create_connect_args(engine.url)
    return {name: value for name, value in given.items() if name not in _DIALECTS_OWN}


class Line:
    """One connection, for one statement at a time."""

    def __init__(self, engine: Engine, patience: float, name: str = "billing-rights") -> None:
        self._options = server_of(engine)
        self._settings = BY_INDEX | {
            "application_name": name,
            "statement_timeout": f"{patience * 1000:.0f}ms",
        }
        self._link: Any = None
        event.listen(engine, "engine_disposed", self.drop)

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """All rows. A connection that was found dead says nothing of the database of this moment: it is opened anew,
        and asked once more. Raises what asyncpg raises."""
        try:
            return await self._fetch(statement, values)
        except (*_CUT, asyncpg.InterfaceError, OSError):
            return await self._fetch(statement, values)

    def drop(self, _: Engine | None = None) -> None:
        """Cut the connection; the next statement opens another."""
        link, self._link = self._link, None
        if link is not None:
            link.terminate()

    async def _fetch(self, statement: str, values: tuple[Any, ...]) -> list[asyncpg.Record]:
        link = self._link
        if link is None or link.is_closed():
            link = self._link = await asyncpg.connect(**self._options, server_settings=self._settings)
        is_sound = False
        try:
            rows = await link.fetch(statement, *values)
            is_sound = True
        except asyncpg.PostgresError as fault:
            is_sound = not isinstance(fault, _CUT)
            raise
        finally:
            # Broken off in the middle, by a fault of the line or by our own impatience: nobody knows what comes next.
            if not is_sound:
                self.drop()
        return rows
