"""What a person's account may be and do. Pure."""

import re
from datetime import date, datetime
from functools import lru_cache

from billing.kernel.days import day_of, end_of
from billing.kernel.errors import Fault

CONFIRM_DAYS = 14
_ADDRESS = re.compile(r"^[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+$")
_LONGEST_ADDRESS = 254


def is_address(text: str) -> bool:
    """Whether mail could be sent to `text`: one @, no blanks or controls, at most 254 letters. Proof is the mail."""
    if len(text) > _LONGEST_ADDRESS or not _ADDRESS.match(text) or not text.isprintable():
        return False
    local, _, host = text.rpartition("@")
    return local.isascii() and _is_host(host)


@lru_cache(maxsize=1024)
def _is_host(name: str) -> bool:
    try:
        ascii_name = name.encode("idna").decode()
    except UnicodeError:
        return False
    return bool(re.match(r"^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$", ascii_name))


def address_faults(email: str, guardian_email: str | None) -> tuple[Fault, ...]:
    """What is wrong with the addresses of an account."""
    given = (("/email", email), ("/guardian_email", guardian_email))
    return tuple(
        Fault(pointer, "not_an_address", "This is not an e-mail address")
        for pointer, text in given
        if text is not None and not is_address(text)
    )


def may_order(age_band: str | None) -> bool:
    """Only an adult's account may order; an unknown age counts as under 18 (R47)."""
    return age_band == "adult"


def confirm_by(at: datetime) -> datetime:
    """The end of the fourteenth Warsaw day after registration (R32's way of counting, R90)."""
    return end_of(date.fromordinal(day_of(at).toordinal() + CONFIRM_DAYS))
