"""A wire to PostgreSQL that breaks at one COMMIT: it never arrives, or it is done and nobody hears of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from billing.kernel.db import Database
from tests.services.cutting import Cut, LostAnswer
from tests.services.house import House

_COMMIT = b"COMMIT;\0"
"""How asyncpg ends a transaction, in one message of its own."""


@asynccontextmanager
async def wired(house: House, cut: Cut) -> AsyncGenerator[Database]:
    """The house's tables over such a wire."""
    place = house.database.engine.url
    wire = _Wire(f"{place.query['host']}/.s.PGSQL.5432", cut)
    async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        far = place.set(host="127.0.0.1", port=port, query={})
        database = Database(far.render_as_string(hide_password=False))
        try:
            yield database
        finally:
            await database.close()


class _Wire:
    def __init__(self, door: str, cut: Cut) -> None:
        self._door = door
        self._cut = cut

    async def carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """One connection, both ways, until one side goes or the cut comes; then both sides are closed."""
        server, to_server = await asyncio.open_unix_connection(self._door)
        numbers = list[int]()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._asked(client, to_server, numbers))
                both.create_task(self._answered(server, to_client, numbers))
        except* (LostAnswer, EOFError, OSError):
            pass
        finally:
            to_client.close()
            to_server.close()

    async def _asked(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, numbers: list[int]) -> None:
        while asked := await client.read(65536):
            if asked.endswith(_COMMIT):
                numbers.append(self._cut.before("wire.commit"))
            to_server.write(asked)
            await to_server.drain()
        raise EOFError

    async def _answered(
        self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, numbers: list[int]
    ) -> None:
        while answer := await server.read(65536):
            if numbers:
                self._cut.after(numbers.pop(), "wire.commit")
            to_client.write(answer)
            await to_client.drain()
        raise EOFError
