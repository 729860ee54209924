"""A buyer who did not ask for an early start: at once with all money back, or after the term to withdraw (R44)."""

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.checkout import rules
from billing.kernel.days import at_hour, day_of, end_of, last_day_of_term, start_of
from tests.services.house import House
from tests.services.invariants import check
from tests.services.leaving_orders import last_order, parent, refunds, warsaw, withdraw

MICRO = timedelta(microseconds=1)
BEGINS = start_of(date(2026, 12, 8))
"""A pass paid on 21 November may be withdrawn from until 7 December."""


@pytest.fixture
def waiting(house: House) -> House:
    """A place where passes wait."""
    order = msgspec.structs.replace(house.catalogue.order, start_unasked="after_withdrawal")
    house.catalogue = msgspec.structs.replace(house.catalogue, order=order)
    return house


async def paid(house: House, day: str, *, start_now: bool) -> str:
    house.stand_at(warsaw(day))
    await parent(house, "anna", "p1")
    await house.pay(await house.click(await house.token("anna", "p1"), start_now=start_now))
    await house.settle()
    return await last_order(house)


async def test_r44_r74_it_begins_after_the_term_and_a_withdrawal_in_it_brings_everything_back(waiting: House) -> None:
    order = await paid(waiting, "2026-11-21", start_now=False)
    assert [tuple(row) for row in await waiting.rows("select since from subscription")] == [(BEGINS,)]
    assert await waiting.one("select first_day from ledger_sale") == date(2026, 12, 8), "nothing is earned before"
    assert "8 grudnia 2026" in (waiting.letters("anna")[-1].text or "").replace("\xa0", " ")
    for at, allowed in ((BEGINS - MICRO, False), (BEGINS, True)):
        assert (await waiting.answer("anna", "p1", at)).allowed is allowed, at
    waiting.stand_at(at_hour(date(2026, 12, 7), 23))
    taken = await withdraw(waiting, order, policy="prorata")
    assert (taken.kept, taken.refund) == (0, 4499)
    await waiting.settle()
    assert await refunds(waiting) == [("withdrawal", 4499, "succeeded")]
    assert not (await waiting.answer("anna", "p1", BEGINS)).allowed
    await check(waiting)


async def test_r44_who_asks_for_an_early_start_has_it_there_too(waiting: House) -> None:
    await paid(waiting, "2026-11-21", start_now=True)
    assert (await waiting.answer("anna", "p1")).reason == "paid"
    await check(waiting)


@pytest.mark.parametrize("last", [True, False])
async def test_r34_r43_of_an_open_order_the_last_click_says_whether_to_start_at_once(
    waiting: House, *, last: bool
) -> None:
    waiting.stand_at(warsaw("2026-11-21"))
    await parent(waiting, "anna", "p1")
    token = await waiting.token("anna", "p1")
    pages: list[str] = []
    for minute, wish in enumerate((last, not last, last, last)):
        waiting.stand_at(warsaw("2026-11-21") + timedelta(minutes=minute))
        pages.append(await waiting.click(token, start_now=wish))
    assert len({*pages}) == 1, "it is one order, and one page to pay on"
    said = await waiting.rows("select kind, given from consent order by kind, id")
    assert [tuple(row) for row in said] == [
        *(("start_now", wish) for wish in (last, not last, last)),
        ("terms", True),
    ]
    await waiting.pay(pages[-1])
    await waiting.settle()
    assert (await waiting.answer("anna", "p1")).allowed is last
    assert (await waiting.answer("anna", "p1", BEGINS)).allowed
    await check(waiting)


async def test_r44_where_passes_do_not_wait_it_begins_at_once_and_nothing_is_kept(house: House) -> None:
    order = await paid(house, "2026-11-21", start_now=False)
    assert (await house.answer("anna", "p1")).reason == "paid"
    house.stand_at(warsaw("2026-12-04"))
    assert (await withdraw(house, order, policy="prorata")).kept == 0


async def test_r44_a_trial_that_ends_before_the_waiting_pass_begins_is_told_of_as_ever(waiting: House) -> None:
    await waiting.family("anna", "p1")
    trial_ends = await waiting.one("select ends_at from trial")
    waiting.stand_at(trial_ends - timedelta(days=12))
    await waiting.pay(await waiting.click(await waiting.token("anna", "p1"), start_now=False))
    await waiting.settle()
    assert await waiting.one("select since from subscription") > trial_ends
    await waiting.advance(trial_ends + timedelta(hours=1))
    assert await waiting.one("select count(*) from letter where kind = 'trial_ending' and state = 'handed_over'") == 1
    assert (await waiting.answer("anna", "p1")).reason == "trial_ended"
    await check(waiting)


@given(st.dates(date(2026, 1, 1), date(2030, 12, 31)), st.integers(1, 400), st.integers(0, 60))
def test_r44_a_right_waits_for_the_whole_term_or_not_at_all(on: date, length: int, days: int) -> None:
    paid_at, until = at_hour(on, 15), end_of(on + timedelta(days=length))
    begins = rules.begins_after(paid_at, on, days, until)
    assert paid_at <= begins < until
    assert begins == paid_at or (days and day_of(begins - MICRO) == last_day_of_term(on, days))
    assert begins > paid_at or not days or end_of(last_day_of_term(on, days)) >= until
