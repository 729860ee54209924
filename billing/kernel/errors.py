"""What can go wrong, said in our own words.

Errors carry a stable `code`, one sentence for people and facts; never anything of HTTP. `kernel/problems.py` holds the
one map that turns them into answers.

    BillingError
    ├── Malformed         the request cannot be understood
    ├── Invalid           understood, but a rule refuses it
    ├── Unauthenticated   no caller, or not a known one
    ├── Forbidden         a known caller without the right
    ├── NotFound
    ├── Conflict          true a moment ago, or true for somebody else
    ├── Gone              was here, is over
    ├── TooMany           slower, please (`retry_after` seconds)
    └── Unavailable       something we stand on does not answer (`retry_after` seconds)
"""

from typing import Any

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with a request: where (RFC 6901 pointer, or a parameter's name), which code, in words."""

    pointer: str
    code: str
    detail: str


class BillingError(Exception):
    """Root of the tree. `code` is stable snake_case; `faults` names everything wrong, not just the first."""

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None, faults: tuple[Fault, ...] = (), **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.faults = faults
        self.facts = facts


class Malformed(BillingError):
    code = "malformed_request"


class Invalid(BillingError):
    code = "invalid_request"


class Unauthenticated(BillingError):
    code = "unauthenticated"


class Forbidden(BillingError):
    code = "forbidden"


class NotFound(BillingError):
    code = "not_found"


class Conflict(BillingError):
    code = "conflict"


class Gone(BillingError):
    code = "gone"


class TooMany(BillingError):
    code = "rate_limited"

    def __init__(self, detail: str, *, retry_after: int, code: str | None = None, **facts: Any) -> None:
        super().__init__(detail, code=code, **facts)
        self.retry_after = retry_after


class Unavailable(BillingError):
    code = "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 5, code: str | None = None, **facts: Any) -> None:
        super().__init__(detail, code=code, **facts)
        self.retry_after = retry_after
