"""Orders whose money goes back, and what became of it."""

from datetime import timedelta
from typing import Any

from billing.cases import service as cases
from billing.cases.tables import CaseRow
from billing.kernel.days import day_of
from billing.withdrawals import by_bank, goodwill
from billing.withdrawals.goodwill import Proposal, StaffReason
from tests.services.house import House, spread

PRICE = 4499


async def bought(house: House, *pupils: str, account: str = "anna", method: str = "card") -> str:
    """A family that has paid; answers the order."""
    await house.family(account, *pupils)
    await house.buy(account, *pupils, method=method)
    return str(await house.one("select order_id from payment order by recorded_at desc, id desc limit 1"))


async def propose(
    house: House, order: str, amount: int, reason: StaffReason = "goodwill", by: str = "ewa", limit: int = 10000
) -> Proposal:
    async with house.database.begin() as session:
        return await goodwill.propose(session, order, amount, reason, by, "long outage", house.now, limit=limit)


async def approve(house: House, proposal: Proposal, by: str) -> None:
    assert proposal.case is not None
    async with house.database.begin() as session:
        row = await cases.find_case(session, proposal.case, lock=True)
        assert await goodwill.approve(session, row, by, "seen", house.now) is not None


async def the_case(house: House, kind: str) -> tuple[Any, ...]:
    query = "select id, state, outcome, facts, due_at from finance_case where kind = :kind"
    (row,) = await house.rows(query, kind=kind)
    return tuple(row)


def posts(house: House) -> int:
    """How often Stripe was asked to do something."""
    return len(list(house.world.standin._store.rows("SELECT 1 FROM requests WHERE method = 'POST'")))


async def refunds(house: House) -> list[tuple[Any, ...]]:
    return spread(await house.rows("select reason, amount, state, approved_by from refund order by created_at, id"))


async def rights(house: House) -> list[tuple[Any, ...]]:
    return spread(await house.rows("select pupil, state from subscription order by pupil"))


async def balance(house: House, account: str) -> int:
    query = "select coalesce(sum(amount), 0) from ledger_line where account = :account"
    return int(await house.one(query, account=account))


async def refund_outcome(house: House, outcome: str) -> None:
    charge = await house.one("select stripe_charge from payment order by recorded_at limit 1")
    await house.world.control(f"charges/{charge}/refund-outcome", {"outcome": outcome})


async def decide(house: House, outcome: str, by: str, kind: str = "bank_transfer") -> bool:
    async with house.database.begin() as session:
        row = await waiting_case(session, kind)
        return await by_bank.decide(session, row, outcome, by, "statement 7/2027", house.now)


async def agree(house: House) -> None:
    async with house.database.begin() as session:
        await by_bank.agree(session, await waiting_case(session, "bank_transfer"), day_of(house.now), "ewa", house.now)


async def waiting_case(session: Any, kind: str) -> CaseRow:
    row = next(row for row in await cases.waiting(session) if row.kind == kind)
    return await cases.find_case(session, cases.case_id(row), lock=True)


async def failed(house: House) -> str:
    """An order whose refund failed at the bank."""
    order = await bought(house, "p1")
    await refund_outcome(house, "failed")
    await propose(house, order, PRICE)
    await house.settle()
    await house.advance(house.now + timedelta(minutes=5))
    return order
