"""Answers that prove themselves: an account's whole answer as a signed token (RFC 7519), for an app without a network.

A token says what the plain answer says and ends no later: never past `valid_until`, never after a day. Equal answers
are the same token until its end moves on, some hours later and at another moment for each account (R135), so that a
signature is paid for once and not at every question.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final
from zlib import crc32

import msgspec

from billing.kernel.errors import NotFound, Unavailable
from billing.kernel.signing import SigningKeys
from entitlements.answers import Sealed, tag_of

LONGEST: Final = timedelta(hours=24)
"""How long a token may be trusted at most, whatever happens meanwhile."""
MOVES: Final = timedelta(hours=6)
"""How often the end of an unchanged answer's token moves on: with nothing ahead a token has 18 to 24 hours to live."""
_MOST_KEPT: Final = 10_000

_encoder = msgspec.json.Encoder()


class Claims(msgspec.Struct, frozen=True, gc=False):
    """What makes the answer a token. `iss`: our public address; `sub`: the account; whole seconds since 1970."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int


class Tokens:
    """Signs answers, and keeps what was signed for as long as it is true."""

    def __init__(self, keys: SigningKeys, issuer: str, audience: str, most_kept: int = _MOST_KEPT) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._most_kept = most_kept
        self._kept: OrderedDict[str, tuple[int, bytes]] = OrderedDict()

    def of(self, account: str, plain: Sealed, valid_until: datetime | None, at: datetime) -> Sealed:
        """The plain answer, made at `at`, as a token. Raises NotFound where nothing can be signed, and Unavailable for
        a stale answer: what is signed is trusted for hours, and nobody can take it back.

        Two tokens with the same validator say the same and end together; only when they were signed may differ.
        """
        if self._keys.kid is None:
            raise NotFound("Answers are not signed here: no signing key is set.")
        exp = ends_at(account, valid_until, at)
        if plain.stale:
            raise Unavailable("Rights cannot be looked up at this moment.", code="store_unavailable", retry_after=2)
        told = f"{plain.etag} {exp} {self._keys.kid} {self._issuer} {self._audience}"
        return Sealed(self._token(account, plain, exp, at), "W/" + tag_of(told.encode()), plain.cache_control)

    def _token(self, account: str, plain: Sealed, exp: int, at: datetime) -> bytes:
        kept = self._kept.get(plain.etag)
        if kept is not None and kept[0] == exp:
            self._kept.move_to_end(plain.etag)
            return kept[1]
        claims = Claims(self._issuer, self._audience, account, int(at.timestamp()), exp)
        signed = self._keys.sign(plain.body[:-1] + b"," + _encoder.encode(claims)[1:])
        self._kept[plain.etag] = (exp, signed)
        self._kept.move_to_end(plain.etag)
        if len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)
        return signed


def ends_at(account: str, valid_until: datetime | None, at: datetime) -> int:
    """When a token made at `at` ends, in seconds since 1970, never after `valid_until`.

    The same for every process and for hours, so that they give the same token.
    """
    now, step = int(at.timestamp()), int(MOVES.total_seconds())
    moved_at = now - (now + crc32(account.encode())) % step
    longest = moved_at + int(LONGEST.total_seconds())
    return longest if valid_until is None else min(longest, int(valid_until.timestamp()))
