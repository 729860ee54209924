"""Payouts to the grosz, each line naming its order; our books and Stripe's account day by day (R112, I10)."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from billing.kernel.days import at_hour, day_of
from billing.reconciliation import mirror, statement
from tests.reconciliation.looking import SWEEPS, bend, look, payment_of, silence
from tests.services.house import House

HOURLY = frozenset({"reconciliation.recent"})
FEES = {"card": 167, "blik": 172, "p24": 199}


async def paid(house: House, *methods: str) -> None:
    for method in methods:
        await house.family(method, f"{method}-p")
        await house.buy(method, f"{method}-p", method=method)


async def shared(house: House) -> None:
    """Two parents pay for one pupil: the second payment goes back by itself."""
    for parent in ("anna", "jan"):
        await house.family(parent, "shared")
    for url in [await house.click(await house.token(parent, "shared")) for parent in ("anna", "jan")]:
        await house.pay(url, "card")
    await house.settle()


async def night(house: House) -> None:
    """On to after the next nightly look."""
    await house.advance(at_hour(day_of(house.now) + timedelta(days=1), 4), without=HOURLY)


async def paid_out(house: House) -> dict[str, Any]:
    house.stand_at(house.now + timedelta(days=3))
    made: dict[str, Any] = await house.world.control("payouts", {})
    await night(house)
    return made


async def sums(house: House) -> dict[str, int]:
    rows = await house.rows("select account, sum(amount) as held from ledger_line group by 1")
    return {row.account: int(row.held) for row in rows}


async def waiting(house: House) -> list[tuple[Any, ...]]:
    rows = await house.rows("select kind, facts from finance_case where state <> 'closed' order by kind, about")
    return [(row.kind, row.facts.get("finding"), row.facts.get("amount", row.facts.get("there"))) for row in rows]


async def forget_order(house: House, account: str) -> None:
    """The order was never here, as after an old backup: nothing of it is left but what Stripe has."""
    payment = await payment_of(house, account)
    async with house.database.begin() as session:
        link = await session.connection()
        await link.exec_driver_sql("set local session_replication_role = replica")
        for statement_ in (
            "delete from consent where order_id in (select id from orders where account = $1)",
            "delete from orders where account = $1",
        ):
            await link.exec_driver_sql(statement_, (account,))
        await link.exec_driver_sql("delete from payment where order_id = $1", (payment.order_id,))
        await link.exec_driver_sql("delete from ledger_line where order_id = $1", (payment.order_id,))
        await link.exec_driver_sql("delete from ledger_sale where order_id = $1", (payment.order_id,))
        await link.exec_driver_sql("delete from provider_intent where target = $1", (payment.order_id,))


async def test_r112_a_payout_closes_to_the_grosz_and_each_line_names_its_order(house: House) -> None:
    await paid(house, "card", "blik", "p24")
    await shared(house)
    await house.world.control(f"charges/{(await payment_of(house, 'blik')).charge}/dispute", {"outcome": "lost"})
    await house.world.paid()
    await house.settle()
    made = await paid_out(house)
    (row,) = await house.rows("select * from payout")
    fees = 3 * FEES["card"] + FEES["blik"] + FEES["p24"] + 6500
    assert (row.charged, row.refunded, row.disputed, row.fees) == (5 * 4499, -4499, -4499, fees)
    assert (row.returned, row.not_ours, row.difference) == (0, 4499 - FEES["card"], 0)
    assert row.amount == made["amount"] == 5 * 4499 - 4499 - 4499 - fees + 4499 - FEES["card"]
    assert row.closed_at is not None
    lines = await house.rows("select kind, order_id, is_foreign, id from balance_line where payout_id is not null")
    assert len(lines) == 6 + 1 + 1 + 1
    for line in lines:
        assert line.is_foreign or line.kind == "payout" or line.order_id is not None, line.id
    assert sum(line.is_foreign for line in lines) == 1
    held = await sums(house)
    assert (held["stripe_clearing"], held["bank"], held["stripe_fees"]) == (0, made["amount"], fees)
    assert held["suspense"] == -(4499 - FEES["card"]), "what is not ours waits apart"
    assert await waiting(house) == []


async def test_r112_one_order_removed_is_exactly_one_difference_of_its_amount(house: House) -> None:
    await paid(house, "card", "blik", "p24")
    house.stand_at(house.now + timedelta(minutes=20))
    await forget_order(house, "blik")
    await paid_out(house)
    (row,) = await house.rows("select difference, closed_at from payout")
    assert (row.difference, row.closed_at) == (4499, None)
    assert await waiting(house) == [("finding", "unknown_here", 4499)]
    assert (await sums(house))["suspense"] == -4499
    await night(house)
    assert await waiting(house) == [("finding", "unknown_here", 4499)], "once, however many nights pass"


async def test_r112_a_line_that_gets_its_order_later_closes_its_payout(house: House) -> None:
    await paid(house, "card")
    await silence(house)
    url = await house.click(await _family(house, "late"))
    await house.pay(url, "card")
    house.stand_at(house.now + timedelta(days=3))
    await house.world.control("payouts", {})
    await statement.read(house.database, house.services.gateway, house.now)
    (row,) = await house.rows("select difference from payout")
    assert row.difference == 4499
    assert [kind for kind, _, _ in await waiting(house)] == ["stray_money"]
    assert (await look(house)).counts.granted + (await look(house)).counts.granted <= 1
    await house.settle(without=SWEEPS)
    await house.advance(house.now + timedelta(hours=30), without=HOURLY)
    (row,) = await house.rows("select difference, closed_at is not null as closed from payout")
    assert (row.difference, row.closed) == (0, True)
    assert await waiting(house) == []
    held = await sums(house)
    assert (held["stripe_clearing"], held.get("suspense", 0)) == (0, 0)
    assert held["stripe_fees"] == 2 * FEES["card"]


async def _family(house: House, account: str) -> str:
    await house.family(account, f"{account}-p")
    return await house.token(account, f"{account}-p")


async def test_a_payout_that_fails_days_later_is_money_at_stripe_again(house: House) -> None:
    await paid(house, "card")
    made = await paid_out(house)
    assert (await sums(house))["bank"] == made["amount"]
    bend(house, "payout", made["id"], status="failed")
    await night(house)
    await night(house)
    assert await house.one("select state from payout") == "failed"
    held = await sums(house)
    assert (held["bank"], held["stripe_clearing"]) == (0, made["amount"])
    assert await house.one("select count(*) from audit where action = 'payout.failed'") == 1


async def test_r112_a_payout_whose_lines_are_not_its_sum_waits_for_people(house: House) -> None:
    await paid(house, "card")
    house.stand_at(house.now + timedelta(days=3))
    made = await house.world.control("payouts", {})
    bend(house, "payout", made["id"], amount=made["amount"] - 7)
    await night(house)
    assert await house.one("select difference from payout") == -7
    assert [(kind, finding) for kind, finding, _ in await waiting(house)] == [("finding", "payout_differs")]


async def test_reading_the_account_again_changes_nothing(house: House) -> None:
    await paid(house, "card", "p24")
    await shared(house)
    await paid_out(house)
    tables = ("balance_line", "payout", "ledger_line", "finance_case", "audit")
    before = [await house.rows(f"select * from {table} order by id") for table in tables]
    read = await statement.read(house.database, house.services.gateway, house.now)
    assert (read.lines, read.payouts, read.unclosed, read.differing) == (0, 0, 0, 0)
    assert [await house.rows(f"select * from {table} order by id") for table in tables] == before


async def report(house: House, first: date) -> list[mirror.Day]:
    async with house.database.begin() as session:
        return await mirror.days(session, first, day_of(house.now))


async def test_i10_every_closed_day_of_our_books_is_stripes(house: House) -> None:
    first = day_of(house.now)
    await paid(house, "card", "p24")
    house.stand_at(house.now + timedelta(days=1))
    await shared(house)
    await night(house)
    charge = (await payment_of(house, "card")).charge
    await house.world.control(f"charges/{charge}/dispute", {"outcome": "lost"})
    await night(house)
    told = await report(house, first)
    assert [(day.on - first).days for day in told] == [0, 1, 2]
    assert [day.there for day in told] == [2 * 4499, 4499, -4499]
    assert [(day.here, day.other_day, day.difference) for day in told] == [(day.there, 0, 0) for day in told]


async def test_i10_a_refund_that_a_bank_takes_days_over_is_a_matter_of_days_and_no_difference(house: House) -> None:
    first = day_of(house.now)
    for parent in ("anna", "jan"):
        await house.family(parent, "shared")
    urls = [await house.click(await house.token(parent, "shared")) for parent in ("anna", "jan")]
    await house.pay(urls[0], "card")
    await house.settle()
    await silence(house)
    await house.pay(urls[1], "p24")
    charge = house.world.standin._store.all_of("charge")[0]["id"]
    await house.world.control(f"charges/{charge}/refund-outcome", {"outcome": "pending"})
    await house.advance(house.now + timedelta(days=2), without=HOURLY)
    assert await waiting(house) == []
    await house.world.control(f"charges/{charge}/refund-outcome", {"outcome": "succeeded"})
    await house.advance(house.now + timedelta(days=2), without=HOURLY)
    told = await report(house, first)
    assert (told[0].there, told[0].here) == (4499, 2 * 4499)
    assert sum(day.other_day for day in told) == 0
    assert any(day.other_day for day in told)
    assert [day.difference for day in told] == [0] * len(told)
    assert await waiting(house) == []


async def test_i10_money_that_is_not_in_our_books_is_one_case(house: House) -> None:
    await paid(house, "card", "blik")
    payment = await payment_of(house, "card")
    async with house.database.begin() as session:
        link = await session.connection()
        await link.exec_driver_sql("set local session_replication_role = replica")
        await link.exec_driver_sql("delete from ledger_line where cause = $1", (f"payment:{payment.intent}",))
    await night(house)
    assert await waiting(house) == [("finding", "books_differ", 4499)]
    (day, *_) = await report(house, day_of(house.now) - timedelta(days=1))
    assert (day.there, day.here, day.difference) == (2 * 4499, 4499, 4499)
    await night(house)
    assert len(await waiting(house)) == 1


def test_the_sum_of_a_payout_is_only_what_is_explained() -> None:
    from billing.reconciliation.payout_rules import Counted, Owner, close

    def line(kind: Any, amount: int, fee: int = 0, order: str | None = None, *, foreign: bool = False) -> Counted:
        return Counted(kind=kind, amount=amount, fee=fee, owner=Owner(order, foreign))

    lines = [line("charge", 4499, 167, "ord_1"), line("charge", 4499, 167), line("fee", -500), line("other", -30)]
    lines += [line("charge", 1000, 10, foreign=True), line("refund", -4499, 0, "ord_1"), line("payout", 77)]
    own = Counted(kind="payout", amount=-1, fee=0, owner=Owner(), is_own=True)
    whole = sum(each.amount - each.fee for each in lines)
    closing = close(whole, [*lines, own])
    assert msgspec.structs.asdict(closing) == {
        "lines": 7, "charged": 4499, "refunded": -4499, "disputed": 0, "fees": 834, "returned": 77, "not_ours": 990,
        "difference": 4499 - 30, "residue": 0,
    }  # fmt: skip
    assert close(whole + 5, lines).residue == 5


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_what_is_about_a_charge_belongs_to_whom_the_charge_belongs(kind: Any) -> None:
    from datetime import UTC, datetime

    from billing.payments.gateway_books import BalanceLine
    from billing.reconciliation.payout_rules import Owner, owner_of

    line = BalanceLine(
        line_id="txn_1", kind=kind, category=kind, amount=-1, fee=0, net=-1, currency="PLN",
        created_at=datetime(2026, 9, 1, tzinfo=UTC), charge_id="ch_1", payment_id="pi_1",
    )  # fmt: skip
    assert owner_of(line, {"pi_1": "ord_1"}, {}) == Owner("ord_1")
    for owner in (Owner("ord_2"), Owner(is_foreign=True), Owner()):
        assert owner_of(line, {}, {"ch_1": owner}) == owner
    assert owner_of(line, {}, {}) == Owner(is_foreign=True)
    assert owner_of(msgspec.structs.replace(line, order="ord_9"), {}, {}) == Owner(), "marked, and unknown"
    assert owner_of(msgspec.structs.replace(line, kind="other"), {"pi_1": "ord_1"}, {}) == Owner()
