"""The outside process with a small stand-in conductor, for tests: ``python outside_example.py DATA_DIR PORT SMTP``."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from billing.kernel.clock import SharedClock
from billing.sandbox.home import Home
from billing.sandbox.mailbox import Mailbox
from billing.sandbox.moves import ClockBackwards
from billing.sandbox.openid import OpenIdProvider
from billing.sandbox.outside import Facts, Outside
from billing.sandbox.serving import serve_http


class ClockOnly:
    """A conductor of nothing but the clock."""

    def __init__(self, clock: SharedClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    async def drain(self) -> dict[str, int]:
        return {"notices": 2}

    async def advance(self, to: datetime) -> dict[str, int]:
        if to < self._clock.now():
            raise ClockBackwards("The sandbox's clock goes forward only.")
        self._clock.hold(to)
        return {}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """In Stripe's place: says what arrived; ``/v1/cut`` breaks off in the middle of its answer."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    headers = [(b"content-type", b"text/plain"), (b"location", b"/elsewhere"), *cookies]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    if scope["path"] == "/v1/cut":
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("cut off")
    said = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} {scope['root_path']}\n".encode()
    await send({"type": "http.response.body", "body": said + body})


async def main(home: Home, port: int, smtp_port: int) -> None:
    """Serves until SIGTERM."""
    clock = SharedClock(home.clock)
    mailbox = Mailbox(home.folder / "mailbox.sqlite", clock.now)
    issuer = f"http://127.0.0.1:{port}/sandbox/openid"
    outside = Outside(
        conductor=ClockOnly(clock),
        stripe=echo,
        mailbox=mailbox,
        provider=OpenIdProvider(issuer, home.oidc_client, home.folder / "openid-key.json", clock.now),
        facts=Facts(f"http://127.0.0.1:{port}", home.webhook_secret, home.api_key),
    )
    smtp = await mailbox.serve("127.0.0.1", smtp_port)
    await serve_http(outside, port, until=asyncio.get_running_loop().create_future())
    smtp.close()
    mailbox.close()


if __name__ == "__main__":
    asyncio.run(main(Home(Path(sys.argv[1]), int(sys.argv[2])), int(sys.argv[2]), int(sys.argv[3])))
