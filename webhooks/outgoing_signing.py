"""Signing by Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`, a `v1` signature for each secret (S18)."""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"
_BYTES: Final = 32


def new_secret() -> str:
    """A fresh secret of 256 bits, as it is told to the owner of the endpoint."""
    return PREFIX + base64.b64encode(os.urandom(_BYTES)).decode()


def signature_of(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the signature, under one secret as it was told."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers_of(secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers; a receiver that knows any of the secrets takes it."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature_of(secret, message_id, timestamp, body) for secret in secrets),
    }
