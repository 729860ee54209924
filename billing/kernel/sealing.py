"""Keeping a text that only this service can read: AES-256-GCM, keyed by the secret and bound to its row (S81)."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class NotSealedHere(Exception):
    """Another secret, another row, or a changed byte."""


def seal(secret: str, row: str, clear: bytes) -> bytes:
    """`clear` as only `unseal` with the same secret and row gives it back; twice the same is never the same bytes."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(_key(secret)).encrypt(nonce, clear, row.encode())


def unseal(secret: str, row: str, sealed: bytes) -> bytes:
    """What was sealed. Raises NotSealedHere."""
    try:
        return AESGCM(_key(secret)).decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode())
    except InvalidTag as fault:
        raise NotSealedHere from fault


def _key(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"billing.sealing").derive(secret.encode())
