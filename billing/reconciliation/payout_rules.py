"""Whose each line of the provider's account is, and whether a payout is the sum of its lines. Pure, in signed grosz."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from billing.payments.gateway_books import BalanceLine, LineKind
from billing.reconciliation.rules import is_marked

NAMED: Final[frozenset[LineKind]] = frozenset({"charge", "refund", "dispute"})
"""Kinds of lines that are about somebody's money, so that each must name its order."""

FAILED: Final = frozenset({"failed", "canceled"})
"""States of a payout whose money came back to the provider."""


class Owner(msgspec.Struct, frozen=True):
    """Whose a line is: an order's, nobody's of ours, or, with neither, a difference that people must explain."""

    order: str | None = None
    is_foreign: bool = False


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A line as far as it counts. `is_own` is the payout's own line, which is no part of what it consists of."""

    kind: LineKind
    amount: int
    fee: int
    owner: Owner
    is_own: bool = False

    @property
    def is_explained(self) -> bool:
        """Whether nobody need look at it."""
        return self.owner.is_foreign or self.kind in {"fee", "payout"} or self.owner.order is not None


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """What a payout consists of. `residue` is what its lines do not even sum up to; `difference` is that and every line
    that names no order (R112)."""

    lines: int
    charged: int
    refunded: int
    disputed: int
    fees: int
    returned: int
    not_ours: int
    difference: int
    residue: int


def owner_of(line: BalanceLine, by_payment: Mapping[str, str], by_charge: Mapping[str, Owner]) -> Owner:
    """Whose a line is: of the order whose payment it is about, else whatever its charge is. A mark that anybody could
    have copied makes nothing ours; it only keeps us from calling it foreign (S12)."""
    if line.kind not in NAMED:
        return Owner()
    order = by_payment.get(line.payment_id or "") or by_payment.get(line.charge_id or "")
    if order is not None:
        return Owner(order)
    if line.kind != "charge" and (line.charge_id or "") in by_charge:
        return by_charge[line.charge_id or ""]
    return Owner(is_foreign=not is_marked(line.order))


def close(amount: int, lines: Iterable[Counted]) -> Closing:
    """Set a payout against its lines."""
    parts = [line for line in lines if not line.is_own]
    ours = [line for line in parts if not line.owner.is_foreign]
    not_ours = sum(line.amount - line.fee for line in parts if line.owner.is_foreign)
    sums = {kind: _sum(ours, kind) for kind in ("charge", "refund", "dispute", "fee", "payout")}
    fees = sum(line.fee for line in ours) - sums["fee"]
    explained = sums["charge"] + sums["refund"] + sums["dispute"] - fees + sums["payout"] + not_ours
    return Closing(
        lines=len(parts), charged=sums["charge"], refunded=sums["refund"], disputed=sums["dispute"], fees=fees,
        returned=sums["payout"], not_ours=not_ours, difference=amount - explained,
        residue=amount - sum(line.amount - line.fee for line in parts),
    )  # fmt: skip


def _sum(lines: Iterable[Counted], kind: str) -> int:
    return sum(line.amount for line in lines if line.kind == kind and line.is_explained)


def fee_in(line: BalanceLine) -> int:
    """What the provider kept by a line; negative when it gave a fee back."""
    return line.fee - (line.amount if line.kind == "fee" else 0)
