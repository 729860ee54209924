"""Who sent this body: Stripe's signature over the received bytes, checked by a function that answers for any input.

Total and without surprises: bytes in, a verdict out, nothing raised (the library's own verifier answers some
unauthenticated requests with an exception, and takes a signature dated years ahead; reliability 2.1).
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

Verdict = Literal["genuine", "missing", "malformed", "too_old", "too_new", "mismatch"]

TOLERANCE_SECONDS: Final = 300
"""On both sides; not a setting, so that nobody can switch it off (S05, S08, I29)."""

MOST_SIGNATURES: Final = 8
LONGEST_HEADER: Final = 4096

_STAMP: Final = re.compile(rb"[1-9][0-9]{0,10}")
_MAC: Final = re.compile(rb"[0-9a-f]{64}")


def verdict(body: bytes, header: bytes | None, secrets: Sequence[str], at: datetime) -> Verdict:
    """Whether `header` (`t=…,v1=…[,v1=…]`) signs exactly `body` under one of `secrets`, within 300 s of `at`.

    The time has one spelling and is there once; no more than the first 8 `v1` are looked at, and all of them are
    compared in constant time. A blank secret signs nothing.
    """
    if not header:
        return "missing"
    if len(header) > LONGEST_HEADER:
        return "malformed"
    parts = [part.partition(b"=") for part in header.split(b",")]
    stamps = [value for name, _, value in parts if name == b"t"]
    if len(stamps) != 1 or _STAMP.fullmatch(stamps[0]) is None or any(not mark for _, mark, _ in parts):
        return "malformed"
    given = [value for name, _, value in parts if name == b"v1"][:MOST_SIGNATURES]
    if not given:
        return "malformed"
    if not _is_signed(b"%b.%b" % (stamps[0], body), given, secrets):
        return "mismatch"
    age = int(at.timestamp()) - int(stamps[0])
    if age > TOLERANCE_SECONDS:
        return "too_old"
    return "too_new" if age < -TOLERANCE_SECONDS else "genuine"


def sign(body: bytes, secret: str, stamp: int) -> bytes:
    """The header that `verdict` takes: for tests, and for sending a stored event again."""
    return b"t=%d,v1=%b" % (stamp, _mac(b"%d.%b" % (stamp, body), secret))


def _is_signed(content: bytes, given: Sequence[bytes], secrets: Sequence[str]) -> bool:
    expected = [_mac(content, secret) for secret in secrets if secret]
    found = False
    for mac in given:
        whole = mac if _MAC.fullmatch(mac) else bytes(64)
        for right in expected:
            found |= hmac.compare_digest(whole, right)
    return found


def _mac(content: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), content, hashlib.sha256).hexdigest().encode()
