"""Units of work, and the connections they go over."""

import socket
from typing import Any

from sqlalchemy import text

from billing.kernel.db import Database
from tests.wire import over_tcp


async def test_f15_a_server_that_vanishes_without_a_word_is_noticed_by_the_system(database_url: str) -> None:
    async with over_tcp(database_url) as far:
        for url, is_far in ((far, True), (database_url, False)):
            database = Database(url)
            async with database.engine.connect() as link:
                assert (await link.execute(text("select 1"))).scalar_one() == 1
                raw: Any = (await link.get_raw_connection()).driver_connection
                held = raw._transport.get_extra_info("socket")
                assert bool(held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is is_far
                if is_far:
                    patience = [held.getsockopt(socket.IPPROTO_TCP, option) for option in (
                        socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)]  # fmt: skip
                    assert patience[0] + patience[1] * patience[2] <= 30
                    assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            await database.close()


async def test_a_unit_of_work_commits_at_its_end(database: Database) -> None:
    async with database.begin() as session:
        assert await session.scalar(text("select 41 + 1")) == 42
