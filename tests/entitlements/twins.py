"""The two ways to one answer, asked as a server asks: with the hot door before the router, and without it."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec
from litestar import Litestar

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.door import Door
from billing.kernel.limits import Limiter
from entitlements.facts import AccountFacts, Only, Span
from entitlements.hot import HotDoor
from entitlements.hot_batch import HotBatch
from entitlements.means import Means
from entitlements.reader import FactsReader
from entitlements.snapshot.names import Names
from entitlements.snapshot.packed import only, pack, spans
from tests.entitlements.conftest import desk

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Held:
    """Facts as they were when they were read, kept in this process; the database itself for all others.

    `silent`: what is kept can no longer be confirmed, so it is stale.
    """

    def __init__(self, reader: FactsReader, *, silent: bool = False) -> None:
        self.silent = silent
        self._reader = reader
        self._held: dict[str, AccountFacts] = {}

    async def read(self, *accounts: str) -> None:
        """Keep what is true of these accounts now."""
        self._held |= await self._reader.accounts(accounts)

    def lose(self, nowhere: FactsReader) -> None:
        """From now on the store does not answer."""
        self.silent, self._reader = True, nowhere

    def at_hand(self, account: str) -> AccountFacts | None:
        return None if self.silent else self._held.get(account)

    def spans_at_hand(self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]) -> list[Span]:
        held, names = self._packed(accounts)
        return spans(held, pupils, [names.bits.get(feature, 0) for feature in features])

    def only_at_hand(
        self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]
    ) -> list[Only | None]:
        held, names = self._packed(accounts)
        return only(held, pupils, [names.bits.get(feature, 0) for feature in features], names)

    def _packed(self, accounts: Sequence[bytes]) -> tuple[list[bytes], Names]:
        names = Names()
        known = [self.at_hand(account.decode()) for account in accounts]
        return [b"" if facts is None else pack(facts, names) for facts in known], names

    async def account(self, account: str, *, strong: bool = False) -> AccountFacts | None:
        return (await self.accounts([account], strong=strong)).get(account)

    async def accounts(self, accounts: Collection[str], *, strong: bool = False) -> dict[str, AccountFacts]:
        held = {} if strong else {each: self._held[each] for each in accounts if each in self._held}
        told = {each: msgspec.structs.replace(facts, stale=self.silent) for each, facts in held.items()}
        return told | await self._reader.accounts([each for each in accounts if each not in told])


class Passed:
    """The door behind the hot one; it counts who comes through."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.times = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.times += 1
        await self._app(scope, receive, send)


class Twins:
    """One desk, with the hot door and without it."""

    def __init__(self, store: Database, facts: Held, clock: FixedClock, limiter: Limiter | None = None) -> None:
        self.typed = _doored(store, facts, clock, limiter)
        self.hot = _doored(store, facts, clock, limiter)
        self.passed = Passed(self.hot.asgi_handler)
        means = cast("Means", self.hot.state.means)
        self.hot.asgi_handler = cast("Any", HotDoor(HotBatch(self.passed, means), means))

    @classmethod
    async def of_town(cls, store: Database, clock: FixedClock, key: str, *more: str) -> "Twins":
        """The settled town behind both doors, all of its accounts at hand, and these."""
        facts = Held(FactsReader(store))
        await facts.read("big", "small", "empty", *more)
        made = cls(store, facts, clock)
        await made.warm(key)
        return made

    async def warm(self, key: str) -> None:
        """Let the hot door's keys be read."""
        await self.hot.state.key_ring.caller(f"Bearer {key}")


def _doored(store: Database, facts: Held, clock: FixedClock, limiter: Limiter | None) -> Litestar:
    app = desk(store, cast("Any", facts), clock, limiter)
    app.asgi_handler = cast("Any", Door(cast("Any", app.asgi_handler), "http://desk.test"))
    return app


async def put(
    app: Litestar, method: str, target: bytes, headers: list[tuple[bytes, bytes]], pieces: Sequence[bytes] = (b"",)
) -> Answer:
    """What a server would send for this request, header by header; its body comes in these pieces."""
    path, _, query = target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": _unescaped(path),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "server": ("desk.test", 80),
        "client": ("127.0.0.1", 4711),
    }
    sent: list[Any] = []

    coming: list[Any] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    coming[-1]["more_body"] = False

    async def receive() -> Any:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(cast("Any", scope), cast("Any", receive), send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], [(bytes(name), bytes(value)) for name, value in sent[0]["headers"]], body


def _unescaped(path: bytes) -> str:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path).decode("utf-8", "replace")
