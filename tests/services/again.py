"""One beginning, lived on from as often as a test likes: the database and Stripe's file are taken back to it."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from billing.sandbox.mailbox import Mailbox
from billing.sandbox.postgres import EmbeddedPostgres
from tests.services.conftest import cloned
from tests.services.house import House, build_house


class Beginning:
    """A house as it stood when this was made. Nobody may use that house any more."""

    def __init__(self, house: House, postgres: EmbeddedPostgres, name: str, folder: Path) -> None:
        self._house = house
        self._postgres = postgres
        self._name = name
        self._folder = folder
        self._at: datetime = house.now
        self._works = {work.name for work in house.works}
        self._taken = len(house.world.receiver.letters)
        self._books = sqlite3.connect(folder / "beginning.db")
        house.world.standin._store.connection.backup(self._books)
        self._number = 0

    @asynccontextmanager
    async def lived(self, *, nights: bool = False) -> AsyncGenerator[House]:
        """The house at the beginning once more; with the work of every night too, if asked for."""
        self._number += 1
        world = self._house.world
        self._books.backup(world.standin._store.connection)
        world.receiver.letters.clear()
        mailbox = Mailbox(self._folder / f"mailbox{self._number}.db", self._house.clock.now)
        door = await mailbox.serve("127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]
        async with cloned(self._postgres, self._name) as name:
            house = build_house(self._postgres.url(name), world, mailbox, port, self._house.clock)
            house.works = tuple(work for work in house.works if nights or work.name in self._works)
            house.stand_at(self._at)
            try:
                yield house
            finally:
                await house.services.close()
                door.close()
                mailbox.close()


async def begin(
    house: House, postgres: EmbeddedPostgres, folder: Path, prepare: Callable[[House], Awaitable[object]]
) -> Beginning:
    """Prepare this house, and make a beginning of it."""
    await prepare(house)
    name = await house.one("select current_database()")
    await house.services.close()
    await asyncio.sleep(0)
    return Beginning(house, postgres, name, folder)
