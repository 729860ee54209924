"""Money is an integer number of grosz. No float comes near it (I16)."""

from typing import Literal

import msgspec

Currency = Literal["PLN"]


class Money(msgspec.Struct, frozen=True):
    """`amount` in minor units (grosz) of `currency`: 4499 PLN is 44.99 zł."""

    amount: int
    currency: Currency = "PLN"


def vat_included(gross: int, rate_percent: int) -> int:
    """The VAT inside a gross amount in grosz: gross × r / (100 + r), half up (R103, golden table 8.3).

    >>> vat_included(4499, 23), vat_included(13497, 23)
    (841, 2524)
    """
    divisor = 100 + rate_percent
    return (2 * gross * rate_percent + divisor) // (2 * divisor)
