"""How long the books must be kept. Pure."""

from datetime import date, datetime

from billing.kernel.days import day_of


def kept_until(sold_at: datetime) -> date:
    """31 December of the fifth year after the year in which the last tax on a sale fell due: income tax is due in the
    year after the sale (R89). A sale of 2026 is kept to 2032-12-31.
    """
    return date(day_of(sold_at).year + 6, 12, 31)
