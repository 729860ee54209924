"""Payments a bank says nothing of for days: somebody must know, with an age, until it has answered (R53)."""

from datetime import timedelta

import pytest

from tests.services.house import House
from tests.services.refunding import the_case


async def waiting(house: House) -> str:
    """Anna has paid by P24, and the bank has not answered for three days; answers the pay page."""
    await house.family("anna", "p1")
    url = await house.buy("anna", "p1", method="p24", outcome="pending")
    await house.advance(house.now + timedelta(days=2, hours=23))
    assert await house.rows("select 1 from finance_case") == [], "a bank may take two working days"
    await house.advance(house.now + timedelta(days=1, hours=2))
    return url


@pytest.mark.parametrize("answer", ["succeeded", "failed"])
async def test_r53_a_bank_that_is_silent_for_three_days_is_a_case_until_it_answers(house: House, answer: str) -> None:
    url = await waiting(house)
    _, state, _, facts, due_at = await the_case(house, "finding")
    assert (state, facts["cause"], facts["amount"]) == ("open", "bank_says_nothing", 4499)
    assert due_at > house.now - timedelta(days=1)
    before = await house.rows("select opened_at from finance_case")
    await house.advance(house.now + timedelta(days=3))
    assert await house.rows("select opened_at from finance_case") == before, "opened once; its age grows"
    assert await house.rows("select state from orders") == [("pending",)], "and nothing is decided for the bank"
    await house.settle_payment(url, answer)
    await house.settle()
    _, state, outcome, _, _ = await the_case(house, "finding")
    assert (state, outcome) == ("closed", "explained")
    assert (await house.answer("anna", "p1")).reason == ("paid" if answer == "succeeded" else "trial")
