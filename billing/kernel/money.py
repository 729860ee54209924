"""Money is an integer number of grosz. No float comes near it (I16)."""

from typing import Literal

import msgspec

Currency = Literal["PLN"]
VatMethod = Literal["per_document", "per_line"]


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


def vat_of(gross: int, rate_percent: int, method: VatMethod, unit_gross: int) -> int:
    """The VAT inside `gross` grosz of a sale of lines that cost `unit_gross` each, by the house's one method (R103):
    of the whole document, or line by line, where what is no whole line counts as one more.

    >>> vat_of(13497, 23, "per_document", 4499), vat_of(13497, 23, "per_line", 4499)
    (2524, 2523)
    """
    if method == "per_document" or unit_gross <= 0:
        return vat_included(gross, rate_percent)
    lines, rest = divmod(gross, unit_gross)
    return lines * vat_included(unit_gross, rate_percent) + vat_included(rest, rate_percent)
