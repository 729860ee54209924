"""The provider's account of our money, kept line by line, booked, and summed up for each payout (R112)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.kernel import audit
from billing.kernel.among import among
from billing.kernel.days import day_of
from billing.ledger import rules as booking
from billing.ledger import service as ledger
from billing.payments import history as payments
from billing.payments.gateway_books import BalanceLine, BookedPayout, LineKind
from billing.reconciliation.payout_rules import FAILED, NAMED, Closing, Counted, Owner, close, fee_in, owner_of
from billing.reconciliation.rules import LONG
from billing.reconciliation.service import CASE
from billing.reconciliation.tables import BalanceLineRow, PayoutRow

PART: Final = 500
"""How many lines are taken on in one transaction."""

_CURRENCY: Final = "PLN"
_NAMED_LATER: Final = "its order is known now"


async def take_lines(
    session: AsyncSession, lines: Sequence[BalanceLine], at: datetime, payout: str | None = None
) -> int:
    """Keep lines, each once, and book what each is. Answers how many are new."""
    kept = [line for line in lines if line.currency == _CURRENCY]
    owners = await _owners(session, kept)
    if not kept:
        return 0
    statement = insert(BalanceLineRow).values([_values(line, owners[line.line_id], at, payout) for line in kept])
    new = set(
        await session.scalars(statement.on_conflict_do_nothing(index_elements=["id"]).returning(BalanceLineRow.id))
    )
    if payout is not None:
        await session.execute(
            update(BalanceLineRow)
            .where(among(BalanceLineRow.id, [line.line_id for line in kept]), BalanceLineRow.payout_id.is_(None))
            .values(payout_id=payout)
        )
    for line in kept:
        if line.line_id in new:
            await _book(session, line, owners[line.line_id])
    return len(new)


async def unknown_payouts(session: AsyncSession, told: Sequence[BookedPayout]) -> list[BookedPayout]:
    """Those of these payouts whose lines we have not read."""
    query = select(PayoutRow.id).where(among(PayoutRow.id, [each.payout_id for each in told]))
    known = set(await session.scalars(query))
    return [each for each in told if each.payout_id not in known and each.currency == _CURRENCY]


async def take_payout(session: AsyncSession, payout: BookedPayout, at: datetime) -> None:
    """Keep a payout whose lines are kept, and book that the money left; told again, nothing happens."""
    closing = close(payout.amount, await _counted(session, payout.payout_id))
    statement = insert(PayoutRow).values(
        id=payout.payout_id, amount=payout.amount, currency=payout.currency, state=payout.state,
        arrives_on=payout.arrives_on, created_at=payout.created_at, read_at=at, **_sums(closing, at),
    )  # fmt: skip
    if await session.scalar(statement.on_conflict_do_nothing().returning(PayoutRow.id)) is None:
        return
    lines = booking.payout(payout.amount)
    await ledger.post(session, f"payout:{payout.payout_id}", None, lines, payout.created_at)
    if payout.state in FAILED:
        await _book_return(session, payout.payout_id, payout.amount, at)


async def note_states(session: AsyncSession, told: Sequence[BookedPayout], at: datetime) -> None:
    """A payout may fail days after it looked fine; its money is at the provider again then."""
    states = {each.payout_id: each.state for each in told}
    query = select(PayoutRow).where(among(PayoutRow.id, states)).with_for_update()
    for row in await session.scalars(query):
        if row.state != states[row.id] and states[row.id] in FAILED and row.state not in FAILED:
            await _book_return(session, row.id, row.amount, at)
        row.state = states[row.id]


async def name_again(session: AsyncSession, at: datetime) -> int:
    """Lines that were nobody's may have become known; answers how many did."""
    query = select(BalanceLineRow).where(
        BalanceLineRow.order_id.is_(None),
        BalanceLineRow.kind.in_(sorted(NAMED)),
        or_(BalanceLineRow.is_foreign.is_(False), BalanceLineRow.created_at >= at - LONG),
    )
    rows = list(await session.scalars(query.order_by(BalanceLineRow.created_at, BalanceLineRow.id)))
    owners = await _owners(session, [_line(row) for row in rows])
    named = 0
    for row in rows:
        order = owners[row.id].order
        if order is None:
            continue
        line, was_foreign = _line(row), row.is_foreign
        amount = line.net if was_foreign else line.amount
        await ledger.post(session, f"stray_out:{row.id}", None, booking.stray_out(amount), at)
        if was_foreign:
            await ledger.post(session, f"stripe_fee:{row.id}", order, booking.stripe_fee(fee_in(line)), at)
        row.order_id, row.is_foreign = order, False
        await cases.close_about(session, "stray_money", row.id, "explained", at, _NAMED_LATER)
        named += 1
    await session.flush()
    return named


async def sum_up(session: AsyncSession, at: datetime) -> int:
    """Sum up again what did not close, and let a person look at each line that names no order. Answers how many payouts
    are still open."""
    rows = list(await session.scalars(select(PayoutRow).where(PayoutRow.closed_at.is_(None)).with_for_update()))
    still = 0
    for row in rows:
        closing = close(row.amount, await _counted(session, row.id))
        for name, value in _sums(closing, at).items():
            setattr(row, name, value)
        still += closing.difference != 0
        about = f"payout_differs:{row.id}"
        if closing.residue:
            await cases.open_case(
                session, CASE, about, at, finding="payout_differs", cause="not_booked", severity="high",
                proposal="look", subject=row.id, here=row.amount - closing.residue, there=row.amount,
            )  # fmt: skip
        else:
            await cases.close_about(session, CASE, about, "explained", at, "its lines are its sum now")
    await session.flush()
    await _strays(session, at)
    return still


def _sums(closing: Closing, at: datetime) -> dict[str, Any]:
    """What is kept of a payout's sum; where nothing differs, it is closed."""
    kept = {name: value for name, value in msgspec.structs.asdict(closing).items() if name != "residue"}
    return {**kept, "closed_at": at if closing.difference == 0 else None}


async def _strays(session: AsyncSession, at: datetime) -> None:
    """One case for each line that should name an order and does not, unless its charge is a finding already."""
    query = select(BalanceLineRow).where(
        BalanceLineRow.order_id.is_(None),
        BalanceLineRow.is_foreign.is_(False),
        BalanceLineRow.kind.in_([*sorted(NAMED), "other"]),
    )
    for row in await session.scalars(query.order_by(BalanceLineRow.created_at)):
        told = [f"unknown_here:{name}" for name in (row.payment_id, row.charge_id) if name is not None]
        if any([await cases.case_about(session, CASE, about) is not None for about in told]):
            continue
        await cases.open_case(
            session, "stray_money", row.id, at, amount=row.amount, category=row.category, payout=row.payout_id,
            source=row.source_id, mark=row.mark,
        )  # fmt: skip


async def payouts(session: AsyncSession, limit: int = 100) -> list[PayoutRow]:
    """The last payouts, newest first."""
    query = select(PayoutRow).order_by(PayoutRow.created_at.desc(), PayoutRow.id).limit(limit)
    return list(await session.scalars(query))


async def unclosed(session: AsyncSession) -> tuple[int, int]:
    """How many payouts do not close, and by how much in all, signs left out."""
    query = select(func.count(), func.coalesce(func.sum(func.abs(PayoutRow.difference)), 0))
    count, difference = (await session.execute(query.where(PayoutRow.closed_at.is_(None)))).one()
    return int(count), int(difference)


async def _owners(session: AsyncSession, lines: Sequence[BalanceLine]) -> dict[str, Owner]:
    names = {name for line in lines for name in (line.payment_id, line.charge_id) if name is not None}
    known = await payments.payments_known(session, names)
    by_payment = {name: each.order for each in known for name in (each.payment_id, each.charge_id)}
    query = select(BalanceLineRow.charge_id, BalanceLineRow.order_id, BalanceLineRow.is_foreign).where(
        BalanceLineRow.kind == "charge", among(BalanceLineRow.charge_id, names)
    )
    by_charge = {str(charge): Owner(order, foreign) for charge, order, foreign in await session.execute(query)}
    found: dict[str, Owner] = {}
    for line in lines:
        found[line.line_id] = owner_of(line, by_payment, by_charge)
        if line.kind == "charge" and line.charge_id is not None:
            by_charge[line.charge_id] = found[line.line_id]
    return found


async def _book(session: AsyncSession, line: BalanceLine, owner: Owner) -> None:
    """Fees are a cost; money without an order waits apart, whole where it is none of ours. What has an order is booked
    by the room whose fact it is."""
    if owner.is_foreign:
        await ledger.post(session, f"stray:{line.line_id}", None, booking.stray_in(line.net), line.created_at)
        return
    fee = fee_in(line)
    if fee:
        await ledger.post(session, f"stripe_fee:{line.line_id}", owner.order, booking.stripe_fee(fee), line.created_at)
    if owner.order is None and line.kind in {*NAMED, "other"}:
        await ledger.post(session, f"stray:{line.line_id}", None, booking.stray_in(line.amount), line.created_at)


async def _book_return(session: AsyncSession, payout: str, amount: int, at: datetime) -> None:
    await ledger.post(session, f"payout_failed:{payout}", None, booking.payout(-amount), at)
    audit.record(session, at, "payout.failed", payout, amount=amount)


async def _counted(session: AsyncSession, payout: str) -> list[Counted]:
    """What a payout consists of, as far as it counts: of a season's busiest day, very much."""
    told = BalanceLineRow
    query = select(told.kind, told.amount, told.fee, told.order_id, told.is_foreign, told.source_id)
    return [
        Counted(
            kind=cast("LineKind", kind), amount=amount, fee=fee, owner=Owner(order, is_foreign), is_own=source == payout
        )
        for kind, amount, fee, order, is_foreign, source in await session.execute(query.where(told.payout_id == payout))
    ]


def _values(line: BalanceLine, owner: Owner, at: datetime, payout: str | None) -> dict[str, Any]:
    return {
        "id": line.line_id, "payout_id": payout, "kind": line.kind, "category": line.category, "amount": line.amount,
        "fee": line.fee, "net": line.net, "currency": line.currency, "source_id": line.source_id,
        "payment_id": line.payment_id, "charge_id": line.charge_id, "mark": line.order, "order_id": owner.order,
        "is_foreign": owner.is_foreign, "created_at": line.created_at, "booked_on": day_of(line.created_at),
        "read_at": at,
    }  # fmt: skip


def _line(row: BalanceLineRow) -> BalanceLine:
    return BalanceLine(
        line_id=row.id, kind=cast("LineKind", row.kind), category=row.category, amount=row.amount, fee=row.fee,
        net=row.net, currency=row.currency, created_at=row.created_at, source_id=row.source_id,
        payment_id=row.payment_id, charge_id=row.charge_id, order=row.mark,
    )  # fmt: skip
