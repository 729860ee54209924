"""Signing keys as settings give them: what is refused, and that nothing of a private part is said."""

from typing import Any

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from billing.kernel.signing import BadSigningKeys, SigningKeys, read_keys


def new_key(kid: str) -> dict[str, Any]:
    """A private key as settings hold it."""
    return dict(ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"}).as_dict(private=True))


def keys_of(*keys: dict[str, Any]) -> SigningKeys:
    return read_keys(msgspec.json.encode({"keys": list(keys)}).decode())


KEY, OLD = new_key("2026-09"), new_key("2026-03")


def test_the_first_key_signs_and_every_key_is_published_without_its_private_part() -> None:
    keys = keys_of(KEY, OLD)
    published = msgspec.json.encode(keys.public)
    assert KEY["d"].encode() not in published
    found = jws.deserialize_compact(keys.sign(b"{}"), KeySet.import_key_set(msgspec.json.decode(published)))
    assert (found.payload, found.headers()["kid"], found.headers()["alg"]) == (b"{}", "2026-09", "ES256")
    assert [each.kid for each in keys.public.keys] == ["2026-09", "2026-03"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secret-text", "not a JWK set"),
        ('["secret-text"]', "not a JWK set"),
        ('{"keys": {"d": "secret-text"}}', "not a JWK set"),
        ('{"keys": ["secret-text"]}', "key 1 is no EC key"),
        ('{"keys": [{"kty": "oct", "k": "secret-text"}]}', "key 1 is no EC key"),
        (msgspec.json.encode({"keys": [KEY, OLD | {"d": "secret-text"}]}).decode(), "key 2 is no EC key"),
        (msgspec.json.encode({"keys": [KEY | {"alg": "ES384"}]}).decode(), "key 1 is no EC key"),
        (msgspec.json.encode({"keys": [KEY | {"d": OLD["d"]}]}).decode(), "key 1 is no EC key"),
        (msgspec.json.encode({"keys": [{**KEY, "d": None}, OLD]}).decode(), "key 1 is no EC key"),
        (msgspec.json.encode({"keys": [{n: v for n, v in KEY.items() if n != "d"}]}).decode(), "no private part"),
        (msgspec.json.encode({"keys": [KEY, OLD | {"kid": KEY["kid"]}]}).decode(), "the same `kid`"),
    ],
)
def test_a_key_set_that_cannot_be_used_is_refused_and_nothing_of_it_said(text: str, words: str):
    with pytest.raises(BadSigningKeys) as caught:
        read_keys(text)
    assert words in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("secret-text", KEY["d"], OLD["d"]))


def test_a_key_without_an_id_is_named_by_its_thumbprint_and_no_key_shows_its_private_part():
    nameless = {name: value for name, value in KEY.items() if name != "kid"}
    keys = keys_of(nameless)
    assert keys.kid == ECKey.import_key(nameless).thumbprint()
    assert KEY["d"] not in repr(keys) + repr(vars(keys))
    assert keys_of().kid is None
