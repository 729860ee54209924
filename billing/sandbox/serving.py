"""An ASGI application served from a running event loop, which it shares with other doors such as SMTP."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

App = Callable[[Any, Any, Any], Awaitable[None]]


async def serve_http(app: App, port: int, until: asyncio.Future[None], *, signals: bool = True) -> None:
    """Serves on loopback until the end of ``until``, or (``signals``, main thread only) SIGTERM or SIGINT."""
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, websockets=False)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT) if signals else ():
        loop.add_signal_handler(number, server.stop)
    until.add_done_callback(lambda _: server.stop())
    await server.serve()
