"""A receiver of outgoing webhooks: a real server on this machine that behaves as it is told."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator
from itertools import count

import msgspec

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

_hosts = count(os.getpid() % 200 * 250)


class Got(msgspec.Struct):
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers every request with `answer`; None: holds the line until the other side hangs up."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.answer: bytes | None = OK
        self.trickle, self.pause, self.thinking = b"", 0.0, 0.0
        self.got: list[Got] = []
        self.hung_up = 0
        self.has_come = asyncio.Event()
        self.has_left = asyncio.Event()
        self.open_now = 0
        self.most_open = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.got]

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            self.got.append(Got(head[0], headers, await reader.readexactly(int(headers["content-length"]))))
            self.has_come.set()
            if self.answer is None:
                await reader.read()
                return
            await asyncio.sleep(self.thinking)
            writer.write(self.answer)
            while self.trickle:
                writer.write(self.trickle)
                await writer.drain()
                await asyncio.sleep(self.pause)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.hung_up += 1
            self.has_left.set()
            self.open_now -= 1
            writer.close()


@contextlib.asynccontextmanager
async def receiving(trust: ssl.SSLContext | None = None, port: int = 0) -> AsyncGenerator[Receiver]:
    """A receiver on an address of its own (all of 127/8 is this machine)."""
    number = next(_hosts)
    receiver = Receiver(f"127.{2 + number // 62500 % 200}.{number // 250 % 250}.{number % 250 + 2}", port)
    server = await asyncio.start_server(receiver.serve, receiver.host, port, ssl=trust)
    receiver.port = int(server.sockets[0].getsockname()[1])
    try:
        yield receiver
    finally:
        server.close()
