"""What counts as proof of who somebody is, and what does not."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from billing.finance.openid import (
    ATTEMPT_LIVES,
    LoginFailed,
    OidcSettings,
    UnknownKey,
    begin_attempt,
    resume_attempt,
    verified,
)
from tests.finance.conftest import SECRET, settings

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
KEY = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256"})
KEYS = KeySet([KEY])
OURS: OidcSettings = settings()


def token(key: Any = KEY, head: dict[str, Any] | None = None, **other: Any) -> str:
    now = int(AT.timestamp())
    claims = {"iss": OURS.issuer, "aud": "billing", "sub": "s-1", "iat": now, "exp": now + 3600, "nonce": "n",
              "name": "Ola", "email": "ola@staff.example", "roles": ["viewer"]} | other  # fmt: skip
    left = {name: value for name, value in claims.items() if value is not None}
    header = {"alg": "RS256", "kid": "k1"} | (head or {})
    return jwt.encode(header, left, key, algorithms=[header["alg"]])


def test_a_true_token_names_a_person() -> None:
    person = verified(token(), KEYS, OURS, "n", AT)
    assert (person.subject, person.name, person.email) == ("s-1", "Ola", "ola@staff.example")
    assert verified(token(aud=["billing", "x"], azp="billing"), KEYS, OURS, "n", AT).subject == "s-1"
    assert verified(token(name=None, email=None), KEYS, OURS, "n", AT).name == "s-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"aud": ["other"]},
        {"aud": ["billing", "x"]},
        {"aud": ["billing"], "azp": "x"},
        {"nonce": "other"},
        {"nonce": None},
        {"exp": int(AT.timestamp()) - 61},
        {"exp": None},
        {"iat": int(AT.timestamp()) + 120},
        {"iat": None},
        {"nbf": int(AT.timestamp()) + 120},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LoginFailed):
        verified(token(**wrong), KEYS, OURS, "n", AT)


def test_another_key_or_another_algorithm_is_refused() -> None:
    """The public key used as a shared secret is the classic trick."""
    number = KEY.as_dict(private=False)["n"]
    public = OctKey.import_key({"kty": "oct", "k": number})
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').decode().rstrip("=")
    unsigned = f"{none}.{token().split('.')[1]}."
    forged = [
        token(key=OTHER),
        token(key=public, head={"alg": "HS256"}),
        unsigned,
        token()[:-4] + "AAAA",
        "a.b.c",
        "",
    ]
    for text in forged:
        with pytest.raises(LoginFailed):
            verified(text, KEYS, OURS, "n", AT)
    with pytest.raises(UnknownKey):
        verified(token(head={"kid": "k2"}), KEYS, OURS, "n", AT)


def test_an_attempt_is_resumed_only_where_and_when_it_was_begun() -> None:
    begun = begin_attempt(SECRET, AT)
    assert resume_attempt(SECRET, begun.cookie, begun.state, AT + ATTEMPT_LIVES) == begun
    other = begin_attempt(SECRET, AT)
    later = AT + ATTEMPT_LIVES + timedelta(seconds=1)
    wrong = [
        (begun.cookie, other.state, AT),
        (other.cookie, begun.state, AT),
        (None, begun.state, AT),
        (begun.cookie, None, AT),
        ("", "", AT),
        (begun.cookie, begun.state, later),
        (begun.cookie, begun.state, AT - timedelta(seconds=5)),
        (begun.cookie.replace(".", "9."), begun.state, AT),
        (begun.cookie, begun.state + "\udcff", AT),
    ]
    for cookie, state, at in wrong:
        with pytest.raises(LoginFailed):
            resume_attempt(SECRET, cookie, state, at)
    with pytest.raises(LoginFailed):
        resume_attempt("x" * 40, begun.cookie, begun.state, AT)


def test_the_secrets_of_an_attempt_differ_and_fit_pkce() -> None:
    """RFC 7636: 43 to 128 letters of the unreserved set."""
    begun = begin_attempt(SECRET, AT)
    assert len({begun.state, begun.nonce, begun.verifier}) == 3
    assert 43 <= len(begun.verifier) <= 128
    assert begun.verifier.isalnum()
