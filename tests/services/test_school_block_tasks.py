"""A school blocks what was paid for: a task for each pass it touches, and no money moves by itself (R14)."""

from typing import Any

from billing.accounts import service as accounts
from tests.services.house import House, spread
from tests.services.invariants import check


async def block(house: House, school: str, *features: str) -> None:
    async with house.database.begin() as session:
        await accounts.put_school(session, school, features, house.now)
    await house.settle()


async def tasks(house: House) -> list[tuple[Any, ...]]:
    query = """select s.pupil, c.state, c.facts -> 'blocked' from finance_case c
        join subscription s on c.order_id = s.order_id and c.account = s.account
        where c.kind = 'school_block' order by s.pupil"""
    return spread(await house.rows(query))


async def money(house: House) -> Any:
    return await house.one("select count(*) from ledger_line"), await house.one("select count(*) from refund")


async def school(house: House, name: str, *families: str, buys: bool = True) -> None:
    for family in families:
        await house.register(family)
        await house.link(family, f"{family}-p", name)
        if buys:
            await house.buy(family, f"{family}-p")


async def test_r14_a_block_after_purchase_is_one_task_for_each_pass_it_touches_and_moves_no_money(house: House) -> None:
    await school(house, "sp5", "anna", "jan")
    await school(house, "sp5", "ola", buys=False)
    await school(house, "sp6", "piotr")
    before = await money(house)
    await block(house, "sp5", "messages")
    assert await tasks(house) == [("anna-p", "open", ["messages"]), ("jan-p", "open", ["messages"])]
    assert await money(house) == before
    assert spread(await house.rows("select distinct state from subscription")) == [("active",)], "R12: the pass stays"
    assert (await house.answer("anna", "anna-p")).reason == "blocked_by_school"
    await check(house)


async def test_r14_the_same_block_again_opens_nothing_and_a_further_one_is_added_to_the_task(house: House) -> None:
    await school(house, "sp5", "anna")
    await block(house, "sp5", "messages")
    await block(house, "sp5", "messages")
    await block(house, "sp5")
    await block(house, "sp5", "messages")
    assert await tasks(house) == [("anna-p", "open", ["messages"])]
    await house.rows_changed(
        "update finance_case set state = 'closed', outcome = 'kept', closed_at = opened_at, closed_by = 'ewa'"
    )
    await block(house, "sp5")
    await block(house, "sp5", "messages")
    assert await tasks(house) == [("anna-p", "closed", ["messages"])], "decided once, decided for good"
    await block(house, "sp5", "messages", "homework")
    assert await tasks(house) == [("anna-p", "open", ["homework", "messages"])]


async def test_r14_who_buys_knowing_of_the_block_and_whose_pass_is_over_is_no_task(house: House) -> None:
    await school(house, "sp5", "anna", "jan")
    await house.rows_changed("update subscription set state = 'withdrawn' where account = 'jan'")
    await block(house, "sp6", "messages")
    await school(house, "sp6", "ola")
    await block(house, "sp6", "messages")
    await block(house, "sp5", "messages")
    assert [pupil for pupil, *_ in await tasks(house)] == ["anna-p"]
