"""Carrying deliveries to where they belong. Only the network is used here, never the database.

A name is resolved once, every address it leads to is checked, and the connection goes to a checked address itself: what
the name leads to a moment later matters to nobody (S15). TLS is verified against the name all the same.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from socket import SOCK_STREAM
from typing import Final

import httpx2

from billing.kernel.clock import Clock, SystemClock
from webhooks.outgoing_addresses import Target, checked, fault_of, parts_of
from webhooks.outgoing_rules import Outcome, Parcel, wait_asked
from webhooks.outgoing_signing import headers_of

TIMEOUT: Final = 15
"""Seconds for all of a try: finding the address, connecting, sending, and the head of the answer."""
_CONNECT: Final = 5
_ADDRESSES: Final = 4
IN_ALL: Final = 64
"""Tries under way at once, for all endpoints together."""

Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """The addresses a name leads to, the system's favourite first. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Post:
    """Whoever carries. `wall` tells the time of sending: receivers hold it against their own machine's clock, so it is
    the machine's and not that of the business, which a sandbox moves."""

    def __init__(
        self,
        *,
        loopback: bool,
        wall: Clock | None = None,
        resolver: Resolve = resolve,
        trust: Callable[[], ssl.SSLContext] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._loopback = loopback
        self._wall = wall or SystemClock()
        self._resolve = resolver
        self._trust = trust or _public_trust
        self._timeout = timeout
        self._slots = asyncio.Semaphore(IN_ALL)

    async def deliver(self, url: str, secrets: Sequence[str], parcels: Sequence[Parcel]) -> list[Outcome]:
        """Try all these at one endpoint at once; answers what came of each, and never raises for the peer's sake."""
        target = parts_of(url)
        if target is None or fault_of(url, loopback=self._loopback) is not None:
            return [Outcome(trouble="address_refused")] * len(parcels)
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._resolve(target.host, target.port)
        except TimeoutError:
            return [Outcome(trouble="timeout")] * len(parcels)
        except (OSError, UnicodeError):
            return [Outcome(trouble="no_address")] * len(parcels)
        addresses = checked(found, loopback=self._loopback)[:_ADDRESSES]
        if not addresses:
            return [Outcome(trouble="address_refused")] * len(parcels)
        tries = (self._one(target, addresses, secrets, parcel) for parcel in parcels)
        return list(await asyncio.gather(*tries))

    async def _one(self, target: Target, addresses: Sequence[str], secrets: Sequence[str], parcel: Parcel) -> Outcome:
        async with self._slots:
            signed = headers_of(secrets, parcel.name, int(self._wall.now().timestamp()), parcel.body)
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._knock(target, addresses, signed, parcel.body)
            except (TimeoutError, httpx2.TimeoutException):
                return Outcome(trouble="timeout")
            except httpx2.ConnectError:
                return Outcome(trouble="no_connection")
            except (httpx2.HTTPError, OSError):
                return Outcome(trouble="no_answer")

    async def _knock(self, target: Target, addresses: Sequence[str], signed: dict[str, str], body: bytes) -> Outcome:
        """Post to the first address that lets us in; where nothing could be said yet, the next may be asked."""
        headers = {
            "host": target.authority,
            "content-type": "application/json",
            "user-agent": "mobile-addons-billing",
            "accept-encoding": "identity",
            "connection": "close",
            **signed,
        }
        patience = httpx2.Timeout(self._timeout, connect=_CONNECT)
        async with httpx2.AsyncClient(
            verify=self._trust(), trust_env=False, follow_redirects=False, timeout=patience
        ) as client:
            for address in addresses[:-1]:
                try:
                    return await self._post(client, target, address, headers, body)
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    continue
            return await self._post(client, target, addresses[-1], headers, body)

    async def _post(
        self, client: httpx2.AsyncClient, target: Target, address: str, headers: dict[str, str], body: bytes
    ) -> Outcome:
        """The head is the answer: what follows it, however long or packed, is never read (S17)."""
        host = f"[{address}]" if ":" in address else address
        url = httpx2.URL(f"{target.scheme}://{host}:{target.port}", raw_path=target.path.encode())
        request = client.build_request("POST", url, headers=headers, content=body)
        request.extensions["sni_hostname"] = target.host.rstrip(".")
        answer = await client.send(request, stream=True)
        await answer.aclose()
        asked = wait_asked(answer.headers.get("retry-after", ""), self._wall.now())
        return Outcome(status=answer.status_code, asked=asked)


@cache
def _public_trust() -> ssl.SSLContext:
    """The authorities that everybody trusts, read once."""
    return httpx2.create_ssl_context()
