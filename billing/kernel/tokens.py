"""Secrets that travel in links. Only their SHA-256 is ever stored (R31); none of them says who its bearer is (I27)."""

import base64
import hashlib
import hmac
import secrets
from uuid import UUID

_BYTES = 24


def new_token() -> str:
    """192 random bits as 32 URL-safe letters."""
    return secrets.token_urlsafe(_BYTES)


def derived_token(secret: str, purpose: str, key: UUID) -> str:
    """The one token of `key` for `purpose`: 192 bits of HMAC-SHA256, so that it can be said again after a crash
    without ever having been stored."""
    mac = hmac.new(secret.encode(), f"{purpose}:{key}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac[:_BYTES]).decode()


def token_hash(token: str) -> bytes:
    """What is stored and looked up instead of the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def pseudonym(secret: str, purpose: str, clear: str) -> bytes:
    """A keyed hash that remembers a thing without naming it (R19)."""
    return hmac.digest(secret.encode(), f"{purpose}:{clear}".encode(), "sha256")
