"""Who is measured: a line each. A contender is a server, what is asked of it, and the floor that it is held against."""

import random
from collections.abc import Callable
from itertools import cycle
from typing import Literal

import msgspec

from tests.benchmarks.load import Ask

Where = Literal["floor", "undisturbed", "product", "desk", "small", "naive", "peer"]
BATCH = 100


class Contender(msgspec.Struct, frozen=True):
    """One line of the tables of answers; `floor` names the contender that it is held against."""

    name: str
    where: Where
    asking: Callable[[str, int], bytes]
    """From a caller's key and an account's number to a request."""
    floor: str
    goal: str = ""
    connections: int = 32
    accounts: int | None = None
    """Ask about so many at most."""


def _get(path: str, key: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}\r\n".encode()


def _post(path: str, key: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def one(key: str, n: int) -> bytes:
    return _get(f"/v1/accounts/a-{n}/entitlements/messages?channel=mobile&pupil=p-{n}", key)


def _typed(key: str, n: int) -> bytes:
    # An escaped letter: the hot door passes on whatever is not plain, and the typed route answers the same.
    return _get(f"/v1/accounts/a-{n}/entitlements/message%73?channel=mobile&pupil=p-{n}", key)


def _strong(key: str, n: int) -> bytes:
    return _get(f"/v1/accounts/a-{n}/entitlements/messages?channel=mobile&pupil=p-{n}&consistency=strong", key)


def _held(key: str, n: int) -> bytes:
    path = f"/v1/accounts/a-{n}/entitlements/messages?channel=mobile&pupil=p-{n}"
    return _get(path, key, "If-None-Match: *\r\n")


def _whole(key: str, n: int) -> bytes:
    return _get(f"/v1/accounts/a-{n}/entitlements?channel=mobile", key)


def _jwt(key: str, n: int) -> bytes:
    return _get(f"/v1/accounts/a-{n}/entitlements.jwt?channel=mobile", key)


def _context(n: int) -> str:
    return f'{{"context":{{"targetingKey":"a-{n}","pupil":"p-{n}","channel":"mobile"}}}}'


def _flag(key: str, n: int) -> bytes:
    return _post("/ofrep/v1/evaluate/flags/messages", key, _context(n))


def _flags(key: str, n: int) -> bytes:
    return _post("/ofrep/v1/evaluate/flags", key, _context(n))


def batch(answer: str) -> Callable[[str, int], bytes]:
    def ask(key: str, n: int) -> bytes:
        # Different accounts, spread over all of them, as cheap to choose as can be: the client has one core too.
        checks = ",".join([f'{{"account":"a-{m}","feature":"messages","pupil":"p-{m}"}}' for m in _some(n)])
        return _post("/v1/entitlements/check", key, f'{{"channel":"mobile","checks":[{checks}],"answer":"{answer}"}}')

    return ask


_spread: list[int] = []


def _some(n: int) -> list[int]:
    at = n % max(1, len(_spread) - BATCH)
    return _spread[at : at + BATCH]


def spread(accounts: int) -> None:
    """Draw the accounts that batches are about."""
    _spread[:] = random.choices(range(accounts), k=min(100_000, accounts * 10) + BATCH)


def _peer(_: str, n: int) -> bytes:
    return f"GET /customers/{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def _ping(_: str, n: int) -> bytes:
    del n
    return b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


FLOOR, FULL_FLOOR, COMPACT_FLOOR = "B: constant bytes", "floor of full", "floor of compact"
UNDISTURBED = "B, undisturbed as ours is"
ALONE, SMALL = "hot door, desk alone", "the same at 10,000 pupils"
WHOLE = "whole account"
HOT, TYPED, ORM, PEER_NAME = "hot door", "typed route", "Litestar + SQLAlchemy ORM", "dj-stripe has_any_active"
CONTENDERS: tuple[Contender, ...] = (
    Contender(FLOOR, "floor", one, FLOOR),
    Contender(UNDISTURBED, "undisturbed", one, FLOOR),
    Contender(HOT, "product", one, FLOOR, "1.2"),
    Contender(ALONE, "desk", one, FLOOR, "1.2"),
    Contender(SMALL, "small", one, FLOOR, accounts=10_000),
    Contender("hot door, 304", "product", _held, FLOOR),
    Contender(TYPED, "product", _typed, FLOOR, "0.65"),
    Contender("strong: PostgreSQL", "product", _strong, FLOOR, "0.55, ≤ 25 µs database"),
    Contender(WHOLE, "product", _whole, FLOOR),
    Contender("entitlements.jwt", "product", _jwt, FLOOR),
    Contender("OFREP, one flag", "product", _flag, FLOOR),
    Contender("OFREP, all flags", "product", _flags, FLOOR),
    Contender(ORM, "naive", one, FLOOR, connections=16),
    Contender(PEER_NAME, "peer", _peer, FLOOR, connections=16),
    Contender("Django, no database", "peer", _ping, FLOOR, connections=16),
    Contender(COMPACT_FLOOR, "floor", batch("compact"), COMPACT_FLOOR),
    Contender("batch of 100, compact", "product", batch("compact"), COMPACT_FLOOR, "0.95"),
    Contender(FULL_FLOOR, "floor", batch("full"), FULL_FLOOR),
    Contender("batch of 100, full", "product", batch("full"), FULL_FLOOR, "0.7"),
)
OPEN: tuple[str, ...] = (FLOOR, HOT, TYPED, "strong: PostgreSQL", WHOLE)
"""Those asked at fixed rates."""


def of_name(name: str) -> Contender:
    """One of them."""
    return next(one for one in CONTENDERS if one.name == name)


def asking(contender: Contender, keys: tuple[str, ...]) -> Ask:
    """Its requests, the callers' keys in turn."""
    turn = cycle(keys)

    def ask(n: int) -> bytes:
        return contender.asking(next(turn), n)

    return ask
