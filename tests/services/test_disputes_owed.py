"""A payer who asks the bank and us at once has the money once: what a lost dispute took is not owed (R60, R75, I13)."""

import pytest

from tests.services.house import House
from tests.services.invariants import check
from tests.services.leaving_orders import last_order, withdraw
from tests.services.refunding import PRICE, balance, posts, propose, refunds, rights
from tests.services.test_disputes import argue, bought, cases

OWED = ("withdrawal", PRICE, "failed", "system")
WAIVED = ("withdrawal", PRICE, "waived", "system")


async def test_i13_what_a_bank_takes_after_a_withdrawal_is_not_sent_by_people_too(house: House) -> None:
    charge = await bought(house)
    await argue(house, charge, "opened")
    await withdraw(house, await last_order(house))
    await house.settle()
    assert await refunds(house) == [OWED], "Stripe gives nothing back of a payment that is disputed"
    assert await cases(house, "bank_transfer") == [("open", None)]
    await check(house)
    await argue(house, charge, "lost")
    assert await refunds(house) == [WAIVED]
    assert await cases(house, "bank_transfer") == [("closed", "dismissed")]
    assert await balance(house, "refunds_payable") == 0
    assert await balance(house, "chargebacks") == PRICE
    await check(house)


async def test_i13_a_refund_that_fails_after_the_bank_took_the_money_is_nobodys_task(house: House) -> None:
    charge = await bought(house)
    await argue(house, charge, "opened")
    await withdraw(house, await last_order(house))
    await house.world.control(f"charges/{charge}/dispute", {"outcome": "lost"})
    await house.settle(without={"refunds.send"})
    await house.settle()
    assert await refunds(house) == [WAIVED]
    assert await cases(house, "bank_transfer") == []
    await check(house)


async def test_i13_a_dispute_that_is_won_leaves_owed_what_was_owed(house: House) -> None:
    charge = await bought(house)
    await argue(house, charge, "opened")
    await withdraw(house, await last_order(house))
    await argue(house, charge, "won")
    assert await refunds(house) == [OWED]
    assert await cases(house, "bank_transfer") == [("open", None)]
    await check(house)


@pytest.mark.parametrize("amount", [1000, PRICE])
async def test_r77_of_what_a_bank_took_a_part_that_is_owed_is_settled_to_the_grosz(house: House, amount: int) -> None:
    charge = await bought(house)
    await argue(house, charge, "opened")
    await propose(house, await last_order(house), amount)
    await argue(house, charge, "lost")
    assert await refunds(house) == [("goodwill", amount, "waived", "ewa")]
    assert await rights(house) == [("p1", "refunded" if amount == PRICE else "disputed")]
    asked = posts(house)
    await house.settle()
    assert posts(house) == asked
    await check(house)
