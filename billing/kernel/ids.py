"""Names of things: the caller's own references, and ours (`trl_01k…`: prefix, then a UUIDv7 in Crockford base32)."""

import os
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from billing.kernel.errors import NotFound

REF_PATTERN = r"^[A-Za-z0-9._:\-]{1,64}(?!\n)$"
Ref = Annotated[
    str,
    Meta(
        pattern=REF_PATTERN,
        min_length=1,
        max_length=64,
        description="The caller's own opaque reference: 1–64 of A-Z a-z 0-9 . _ : -",
        examples=["a-1001"],
    ),
]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 26


def new_id(at: datetime) -> UUID:
    """A fresh UUIDv7 (RFC 9562): sorts by `at`, carries 74 random bits."""
    millis = int(at.timestamp() * 1000)
    rest = int.from_bytes(os.urandom(10))
    value = (millis & (2**48 - 1)) << 80 | 0x7 << 76 | (rest >> 68 & 0xFFF) << 64 | 0b10 << 62 | rest & (2**62 - 1)
    return UUID(int=value)


def last_id(at: datetime) -> UUID:
    """The last key that is made in the millisecond of an instant: keys sort by time, and need no other index."""
    return UUID(int=(int(at.timestamp() * 1000) + 1 << 80) - 1)


def public(prefix: str, key: UUID) -> str:
    """The text a stranger sees for `key`."""
    number = key.int
    pairs = [_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(pairs)}"


def parse(prefix: str, text: str) -> UUID:
    """The key behind a public id; another prefix, letter or length is a thing that does not exist."""
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != _LENGTH or any(letter not in _VALUES for letter in tail) or tail[0] > "7":
        raise NotFound(f"There is no such {prefix}_ id.", code="not_found", expected_prefix=prefix)
    number = 0
    for letter in tail:
        number = number << 5 | _VALUES[letter]
    return UUID(int=number)
