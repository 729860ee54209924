"""The keys that sign what is carried away and proved later, without asking us: a JWK set (RFC 7517), ES256 (RFC 7518).

The first key signs; all are published. So a new key is published before it signs and an old one after it has stopped,
and what either signed stays provable. Of a key that signs no more the private part need not be kept.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from billing.kernel.errors import BillingError

ALGORITHM: Final = "ES256"
_CURVE: Final = "P-256"
_PUBLIC: Final = ("kty", "crv", "x", "y")


class BadSigningKeys(BillingError):
    """A key set that cannot be used; the words name places in it, never what stands there."""

    code = "bad_settings"


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key as anybody may know it."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    use: str = "sig"
    alg: str = ALGORITHM


class PublicKeys(msgspec.Struct, frozen=True):
    """All keys by which what we signed can be proved."""

    keys: tuple[PublicKey, ...]


class SigningKeys:
    """Signs with the first key of a set. Never shows a private part."""

    def __init__(self, keys: Sequence[ECKey]) -> None:
        self._signing = keys[0] if keys else None
        self.public = PublicKeys(tuple(_public(key) for key in keys))

    @property
    def kid(self) -> str | None:
        """The id of the key that signs; None where there is none."""
        return self.public.keys[0].kid if self._signing is not None else None

    def sign(self, payload: bytes) -> bytes:
        """A compact JWS (RFC 7515) over `payload`. Only where there is a key."""
        assert self._signing is not None, "nothing to sign with"  # noqa: S101 - asked by `kid` first
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": "JWT"}
        return jws.serialize_compact(cast("Any", header), payload, self._signing, algorithms=[ALGORITHM]).encode()


def read_keys(text: str) -> SigningKeys:
    """The keys of a JWK set. An empty one signs nothing. Raises BadSigningKeys."""
    try:
        given = msgspec.json.decode(text, type=dict[str, Any]) if text else {"keys": []}
    except msgspec.DecodeError:
        given = {}
    if not isinstance(given.get("keys"), list):
        raise BadSigningKeys("not a JWK set: a JSON object with a list of `keys`")
    keys = [_key(place, one) for place, one in enumerate(given["keys"], start=1)]
    if keys and not keys[0].is_private:
        raise BadSigningKeys("key 1 has no private part `d`; the first key signs")
    kids = [_kid(key) for key in keys]
    if len(set(kids)) != len(kids):
        raise BadSigningKeys("two keys have the same `kid`")
    return SigningKeys(keys)


def _key(place: int, given: Any) -> ECKey:
    fits = isinstance(given, dict) and cast("dict[str, Any]", given).get("alg", ALGORITHM) == ALGORITHM
    try:
        key = ECKey.import_key(given) if fits else None
    except (JoseError, ValueError, TypeError):
        key = None
    if key is None or key.curve_name != _CURVE:
        raise BadSigningKeys(f"key {place} is no EC key on {_CURVE} for {ALGORITHM}")
    return key


def _kid(key: ECKey) -> str:
    """The id that was given to a key, else its thumbprint (RFC 7638)."""
    return key.kid or key.thumbprint()


def _public(key: ECKey) -> PublicKey:
    told = cast("dict[str, str]", key.as_dict(private=False))
    return PublicKey(kid=_kid(key), **{name: told[name] for name in _PUBLIC})
