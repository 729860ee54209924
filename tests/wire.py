"""The network between us and a PostgreSQL that listens on a Unix socket alone; who likes may look at what goes by."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url

Look = Callable[[bytes], None]
"""Told of each piece before it is passed on. Whatever it raises cuts the connection."""


def pass_by(_: bytes) -> None:
    """Look at nothing."""


def both_pass_by() -> tuple[Look, Look]:
    """Of neither side."""
    return pass_by, pass_by


@asynccontextmanager
async def over_tcp(
    url: str, looks: Callable[[], tuple[Look, Look]] = both_pass_by, cut_by: type[Exception] = EOFError
) -> AsyncGenerator[str]:
    """The address of the same database over TCP. For each connection `looks` gives who looks at what is asked, and who
    at what is answered; once one side goes, or a look raises `cut_by`, both sides are closed."""
    place = make_url(url)

    async def carry(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(f"{place.query['host']}/.s.PGSQL.5432")
        at_asked, at_answered = looks()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(client, to_server, at_asked))
                both.create_task(_pass(server, to_client, at_answered))
        except* (cut_by, EOFError, OSError):
            pass
        finally:
            to_client.close()
            to_server.close()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield place.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Look) -> None:
    while piece := await reader.read(65536):
        look(piece)
        writer.write(piece)
        await writer.drain()
    raise EOFError
