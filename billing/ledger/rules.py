"""Which accounts a fact moves. Pure. Debits are positive, credits negative; every posting sums to zero."""

from typing import Literal

import msgspec

from billing.kernel.money import vat_included

LedgerAccount = Literal["stripe_clearing", "deferred_revenue", "vat_output", "refunds_payable"]


class Line(msgspec.Struct, frozen=True):
    """One side of a posting, in grosz."""

    account: LedgerAccount
    amount: int


def sale(gross: int, vat_rate_percent: int) -> tuple[Line, ...]:
    """Money came in: the whole at Stripe, the tax owed, the rest owed to the customer as service (R103)."""
    vat = vat_included(gross, vat_rate_percent)
    return (Line("stripe_clearing", gross), Line("vat_output", -vat), Line("deferred_revenue", -(gross - vat)))


def refund_owed(gross: int, vat_rate_percent: int) -> tuple[Line, ...]:
    """Money is to go back: tax and revenue are undone, the customer is owed the whole."""
    vat = vat_included(gross, vat_rate_percent)
    return (Line("refunds_payable", -gross), Line("vat_output", vat), Line("deferred_revenue", gross - vat))


def refund_paid(gross: int) -> tuple[Line, ...]:
    """Money has gone back."""
    return (Line("refunds_payable", gross), Line("stripe_clearing", -gross))
