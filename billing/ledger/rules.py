"""Which accounts a fact moves. Pure. Debits are positive, credits negative; every posting sums to zero."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec

from billing.kernel.errors import Conflict
from billing.kernel.money import VatMethod, vat_of

LedgerAccount = Literal[
    "stripe_clearing",
    "bank",
    "stripe_fees",
    "deferred_revenue",
    "revenue",
    "vat_output",
    "refunds_payable",
    "chargebacks",
    "suspense",
]
ACCOUNTS: Final[tuple[LedgerAccount, ...]] = get_args(LedgerAccount)

CHART: Final[Mapping[LedgerAccount, str]] = {
    "stripe_clearing": "Money that Stripe holds for us: captured, not yet paid out. A debit balance.",
    "bank": "Money on our own bank account, as far as it came from payouts or left for refunds by transfer.",
    "stripe_fees": "What Stripe kept for its service. A cost; a debit balance.",
    "deferred_revenue": "Net price of service that is paid and not yet rendered. A credit balance, run down by days.",
    "revenue": "Net price of service that was rendered; booked at the end of each month, and when a right ends early.",
    "vat_output": "VAT on what was sold, less VAT on what was given back. A credit balance, owed to the tax office.",
    "refunds_payable": "What we owe to buyers and has not reached them yet. A credit balance.",
    "chargebacks": "What banks took back in disputes. A debit balance; a dispute won in the end takes it away again.",
    "suspense": "Money that came without an order of ours, until a person has found out whose it is. A credit balance.",
}
"""The chart of accounts, and what a balance on each means (published in docs/ledger.md)."""

CLOSING: Final = "revenue:"
"""How the cause of each booking begins that closes a month."""


class Line(msgspec.Struct, frozen=True):
    """One side of a posting, in grosz."""

    account: LedgerAccount
    amount: int


class RefundExceedsSale(Conflict):
    """More is to go back than the books still hold of the sale (I13)."""

    code = "refund_exceeds_payment"


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """How VAT was counted when the sale was made; frozen, so a refund is counted the same way years later (R105)."""

    rate_percent: int
    unit_gross: int
    method: VatMethod = "per_document"

    def of(self, gross: int) -> int:
        """The VAT inside so much of the sale, in grosz."""
        return vat_of(gross, self.rate_percent, self.method, self.unit_gross)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the books still hold of one sale, in grosz: its tax, the service still owed, the service rendered."""

    vat: int
    deferred: int
    earned: int = 0

    @property
    def net(self) -> int:
        """The price without tax of what was not given back."""
        return self.deferred + self.earned

    @property
    def gross(self) -> int:
        """What was paid and not given back."""
        return self.vat + self.net


def sale(gross: int, tax: Tax) -> tuple[Line, ...]:
    """Money came in: the whole at Stripe, the tax owed, the rest owed to the customer as service (R103)."""
    vat = tax.of(gross)
    return (Line("stripe_clearing", gross), Line("vat_output", -vat), Line("deferred_revenue", -(gross - vat)))


def refund_owed(held: Held, amount: int, tax: Tax) -> tuple[Line, ...]:
    """Money is to go back: tax and price are undone, the customer is owed the whole.

    The tax undone is the tax held less the tax of what is still kept afterwards; so refunds of a sale, in whatever
    parts, undo exactly its tax and its price, with no grosz of drift. Service still owed is undone before service
    rendered. Raises RefundExceedsSale.
    """
    if not 0 < amount <= held.gross:
        raise RefundExceedsSale("More would go back than was sold.", held=held.gross, amount=amount)
    least, most = max(amount - held.net, 0), min(held.vat, amount)
    vat = min(max(held.vat - tax.of(held.gross - amount), least), most)
    deferred = min(amount - vat, held.deferred)
    return _without_zeros(
        Line("refunds_payable", -amount),
        Line("vat_output", vat),
        Line("deferred_revenue", deferred),
        Line("revenue", amount - vat - deferred),
    )


def refund_paid(amount: int) -> tuple[Line, ...]:
    """Money has gone back the way it came."""
    return (Line("refunds_payable", amount), Line("stripe_clearing", -amount))


def refund_paid_by_bank(amount: int) -> tuple[Line, ...]:
    """Money has gone back by a transfer from our own account (R75)."""
    return (Line("refunds_payable", amount), Line("bank", -amount))


def chargeback(amount: int) -> tuple[Line, ...]:
    """A bank took a payment back in a dispute (R60). The sale itself stands; a refund is another thing."""
    return (Line("chargebacks", amount), Line("stripe_clearing", -amount))


def stripe_fee(amount: int) -> tuple[Line, ...]:
    """Stripe kept `amount`; a negative amount is a fee given back."""
    return _without_zeros(Line("stripe_fees", amount), Line("stripe_clearing", -amount))


def payout(amount: int) -> tuple[Line, ...]:
    """Stripe paid out to our bank account; a negative amount was taken from it (R112)."""
    return _without_zeros(Line("bank", amount), Line("stripe_clearing", -amount))


def stray_in(amount: int) -> tuple[Line, ...]:
    """Money came that belongs to no order of ours (I12)."""
    return (Line("stripe_clearing", amount), Line("suspense", -amount))


def stray_out(amount: int) -> tuple[Line, ...]:
    """Money that was never ours has gone back."""
    return reversed_lines(stray_in(amount))


def recognised(amount: int) -> tuple[Line, ...]:
    """Service worth `amount` net was rendered; negative when less was rendered than was booked before (R114)."""
    return _without_zeros(Line("deferred_revenue", amount), Line("revenue", -amount))


def reversed_lines(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The posting that undoes a posting."""
    return tuple(Line(line.account, -line.amount) for line in lines)


def _without_zeros(*lines: Line) -> tuple[Line, ...]:
    return tuple(line for line in lines if line.amount)
