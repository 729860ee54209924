"""Withdrawing from a contract: in time, at once, once, for everybody, and what of the money goes back (R69–R78)."""

import asyncio
from datetime import date, timedelta

import pytest

from billing.checkout import service as checkout
from billing.checkout.fulfilment import give_back
from billing.kernel.days import end_of
from billing.notices.mailer import SmtpMailer
from billing.payments.service import payments_of
from tests.services.house import House
from tests.services.invariants import check
from tests.services.leaving_orders import (
    bought,
    kinds,
    last_order,
    parent,
    refunds,
    says,
    states,
    warsaw,
    withdraw,
)
from tests.services.test_ordering import priced

SECOND = timedelta(seconds=1)
ALL_BACK = [("withdrawal", 4499, "succeeded")]


async def test_r71_r78_on_the_day_itself_everything_ends_at_once_and_all_money_goes_back(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    assert (await house.answer("anna", "p1")).reason == "paid"
    house.stand_at(house.now + timedelta(hours=3))
    taken = await withdraw(house, order, says(reason="Nie działa tak, jak myślałam."))
    assert (taken.state, taken.refund, taken.kept, taken.last_day) == ("accepted", 4499, 0, date(2026, 12, 7))
    assert (taken.received_at, taken.sent_on, taken.channel) == (house.now, date(2026, 11, 21), "online")
    before = await house.answer("anna", "p1", house.now - timedelta(microseconds=1))
    after = await house.answer("anna", "p1", house.now)
    assert (before.allowed, after.allowed, after.reason) == (True, False, "withdrawn")
    assert await house.one("select count(*) from outbox where kind = 'withdrawal.received'") == 1
    await house.settle()
    assert await refunds(house) == ALL_BACK
    letter = house.letters("anna")[-1]
    for fact in ("21 listopada 2026 r., godz. 13:00 CET", "Anna Żółć", "anna@rodzice.example", "Nie działa", "44,99"):
        assert fact in (letter.text or ""), fact
    assert "5 grudnia 2026 r." in (letter.text or ""), "R76: fourteen days from receipt"
    assert await kinds(house) == [("order_confirmation", "handed_over"), ("withdrawal_received", "handed_over")]
    await check(house)


@pytest.mark.parametrize(
    ("contract", "last"),
    [
        ("2026-09-01", date(2026, 9, 15)),
        ("2026-10-11", date(2026, 10, 26)),
        ("2026-11-21", date(2026, 12, 7)),
        ("2026-12-10", date(2026, 12, 28)),
        ("2027-03-14", date(2027, 3, 30)),
    ],
)
async def test_r69_r72_r81_the_last_second_is_in_time_and_the_next_is_not(
    house: House, contract: str, last: date
) -> None:
    """The days of both clock changes, a moved weekend, Christmas and Easter lie in between."""
    early = await bought(house, contract, "p1")
    late = await bought(house, contract, "p2", account="jan")
    house.stand_at(end_of(last) - SECOND)
    assert (await withdraw(house, early)).state == "accepted"
    house.stand_at(end_of(last))
    refused = await withdraw(house, late, says("jan"))
    assert (refused.state, refused.refund, refused.last_day) == ("late", 0, last)
    await house.settle()
    assert await refunds(house) == ALL_BACK
    assert await states(house) == [("p1", "withdrawn"), ("p2", "active")]
    assert (await house.answer("jan", "p2")).reason == "paid"
    letter = house.letters("jan")[-1]
    for words in ("Termin na odstąpienie od umowy minął", "reklamacj", "Inspekcja Handlowa"):
        assert words in f"{letter.subject} {letter.text}", words
    await check(house)


@pytest.mark.parametrize(
    ("day", "kept"), [("2026-11-21", 20), ("2026-11-25", 101), ("2026-12-04", 283), ("2026-12-07", 344)]
)
async def test_r74_in_proportion_the_part_for_the_days_used_is_kept_and_said(house: House, day: str, kept: int) -> None:
    order = await bought(house, "2026-11-21", "p1")
    house.stand_at(warsaw(day, 20))
    taken = await withdraw(house, order, policy="prorata")
    assert (taken.kept, taken.refund) == (kept, 4499 - kept)
    await house.settle()
    assert await refunds(house) == [("withdrawal", 4499 - kept, "succeeded")]
    assert f"{kept // 100},{kept % 100:02}" in (house.letters("anna")[-1].text or "")
    await check(house)


async def test_r74_without_the_wish_to_start_at_once_nothing_is_kept(house: House) -> None:
    house.stand_at(warsaw("2026-11-21"))
    await parent(house, "anna", "p1")
    await house.pay(await house.click(await house.token("anna", "p1"), start_now=False))
    await house.settle()
    house.stand_at(warsaw("2026-12-04"))
    taken = await withdraw(house, await last_order(house), policy="prorata")
    assert (taken.kept, taken.refund) == (0, 4499)


async def test_r74_while_the_confirmation_did_not_go_out_nothing_is_kept(house: House) -> None:
    house.use_mailer(SmtpMailer("smtp://127.0.0.1:9"))
    order = await bought(house, "2026-11-21", "p1")
    house.stand_at(warsaw("2026-12-04"))
    taken = await withdraw(house, order, policy="prorata")
    assert (taken.kept, taken.refund) == (0, 4499)
    house.use_mailer(house.smtp())
    await house.advance(house.now + timedelta(hours=2))
    assert ("order_confirmation", "dropped") in await kinds(house), "it would promise what is over"
    assert ("withdrawal_received", "handed_over") in await kinds(house)
    await check(house)


async def test_r71_pressed_twice_it_answers_the_same_and_moves_money_once(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    first = await withdraw(house, order)
    house.stand_at(house.now + timedelta(minutes=1))
    assert await withdraw(house, order, says(name="Ktoś Inny")) == first
    await house.settle()
    assert await withdraw(house, order) == first
    assert await refunds(house) == ALL_BACK
    assert len(house.letters("anna")) == 2
    await check(house)


@pytest.mark.parametrize("at_once", [2, 8])
async def test_i15_r77_many_at_once_are_one_withdrawal_and_one_refund(house: House, at_once: int) -> None:
    order = await bought(house, "2026-11-21", "p1", "p2")
    taken = await asyncio.gather(*(withdraw(house, order) for _ in range(at_once)))
    assert all(one == taken[0] for one in taken)
    assert taken[0].refund == 8998
    await house.settle()
    assert await refunds(house) == [("withdrawal", 8998, "succeeded")]
    assert await house.one("select count(*) from withdrawal") == 1
    assert await house.one("select count(*) from audit where action = 'withdrawal.taken_in'") == 1
    await check(house)


async def test_r77_while_money_for_a_child_paid_twice_is_on_its_way_only_the_rest_goes_back(house: House) -> None:
    house.stand_at(warsaw("2026-11-21"))
    await parent(house, "anna", "p1", "p2")
    one = await house.click(await house.token("anna", "p1"))
    both = await house.click(await house.token("anna", "p1", "p2"))
    await house.pay(one)
    await house.settle()
    await house.pay(both)
    await house.settle(without=("refunds.send",))
    assert await refunds(house) == [("duplicate", 4499, "new")]
    taken = await withdraw(house, await last_order(house))
    assert taken.refund == 4499
    await house.settle()
    assert await refunds(house) == [("duplicate", 4499, "succeeded"), ("withdrawal", 4499, "succeeded")]
    assert await states(house) == [("p1", "active"), ("p2", "withdrawn")]
    await check(house)


async def test_r77_what_went_back_whole_before_does_not_go_back_again(house: House) -> None:
    house.stand_at(warsaw("2026-11-21"))
    await parent(house, "anna", "p1")
    await parent(house, "jan", "p1")
    first = await house.click(await house.token("jan", "p1"))
    second = await house.click(await house.token("anna", "p1"))
    for url in (first, second):
        await house.pay(url)
        await house.settle()
    taken = await withdraw(house, await last_order(house))
    assert (taken.state, taken.refund, taken.kept) == ("accepted", 0, 0)
    await house.settle()
    assert await refunds(house) == [("duplicate", 4499, "succeeded")]
    assert await states(house) == [("p1", "active")], "the other parent's right stands"
    assert "Nie mamy żadnych pieniędzy" in (house.letters("anna")[-1].text or "")
    await check(house)


async def test_r78_goodwill_left_the_pass_and_takes_its_part_of_what_goes_back(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    async with house.database.begin() as session:
        row = await checkout.read_order(session, order)
        (paid,) = await payments_of(session, order)
        await give_back(session, row, paid, 1000, "goodwill", house.now, approved_by="ewa")
    assert await states(house) == [("p1", "active")]
    taken = await withdraw(house, order)
    assert taken.refund == 3499
    await house.settle()
    assert await refunds(house) == [("goodwill", 1000, "succeeded"), ("withdrawal", 3499, "succeeded")]
    await check(house)


async def test_r50_an_order_that_cost_nothing_ends_and_nobody_is_asked_for_money(house: House) -> None:
    house.stand_at(warsaw("2026-11-21"))
    house.catalogue = priced(house.catalogue, 0)
    await parent(house, "anna", "p1")
    await house.click(await house.token("anna", "p1"))
    await house.settle()
    taken = await withdraw(house, await last_order(house), policy="prorata")
    assert (taken.state, taken.refund, taken.kept) == ("accepted", 0, 0)
    await house.settle()
    assert (await house.answer("anna", "p1")).reason == "withdrawn"
    assert await refunds(house) == []
    await check(house)


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_r53_r69_withdrawn_while_the_bank_thinks_money_that_still_comes_goes_back_whole(
    house: House, outcome: str
) -> None:
    house.stand_at(warsaw("2026-11-21"))
    await parent(house, "anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "blik", "pending")
    await house.settle()
    taken = await withdraw(house, await last_order(house), policy="prorata")
    assert (taken.state, taken.refund, taken.kept) == ("accepted", 0, 0)
    await house.settle()
    await house.settle_payment(url, outcome)
    await house.advance(house.now + timedelta(days=1))
    assert await states(house) == []
    assert await refunds(house) == (ALL_BACK if outcome == "succeeded" else [])
    assert (await house.answer("anna", "p1")).allowed is False
    told = {"withdrawal_received"} | ({"money_returned"} if outcome == "succeeded" else set())
    assert {kind for kind, state in await kinds(house) if state == "handed_over"} == told
    await check(house)


async def test_r57_r69_withdrawn_before_paying_a_page_left_open_may_be_paid_and_is_given_back(house: House) -> None:
    house.stand_at(warsaw("2026-11-21"))
    await parent(house, "anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await withdraw(house, await last_order(house))
    assert await house.one("select state from orders") == "expired"
    await house.pay(url)
    await house.advance(house.now + timedelta(hours=1))
    assert await refunds(house) == ALL_BACK
    assert await states(house) == []
    await check(house)


async def test_r5_r78_a_pass_that_has_not_begun_ends_too_and_costs_nothing(house: House) -> None:
    order = await bought(house, "2027-06-04", "p1")
    assert await house.one("select since > :now from subscription", now=house.now)
    house.stand_at(warsaw("2027-06-10"))
    taken = await withdraw(house, order, policy="prorata")
    assert (taken.kept, taken.refund) == (0, 4499)
    await house.settle()
    assert (await house.answer("anna", "p1", warsaw("2027-07-15"))).allowed is False
    await check(house)


async def test_r16_r21_a_trial_that_the_purchase_had_converted_runs_on_until_its_end_is_told(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    house.stand_at(warsaw("2026-09-10"))
    await withdraw(house, await last_order(house))
    assert (await house.answer("anna", "p1")).reason == "trial"
    await house.advance(warsaw("2026-11-15"))
    letter = next(one for one in house.letters("anna") if one.subject.startswith("Od "))
    day = await house.one("select reverts_on from trial")
    assert f"{day.day} " in letter.subject
    assert (await house.answer("anna", "p1")).allowed is False
    await check(house)


async def test_i11_what_was_withdrawn_from_may_be_bought_again(house: House) -> None:
    await bought(house, "2026-11-21", "p1")
    await withdraw(house, await last_order(house))
    await house.advance(house.now + timedelta(hours=1))
    await house.buy("anna", "p1")
    assert (await house.answer("anna", "p1")).reason == "paid"
    assert await states(house) == [("p1", "withdrawn"), ("p1", "active")]
    await check(house)


async def test_r2_r69_an_order_for_several_children_is_withdrawn_from_whole(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1", "p2", "p3")
    house.stand_at(warsaw("2026-11-25"))
    taken = await withdraw(house, order, policy="prorata")
    assert (taken.kept, taken.refund) == (3 * 101, 3 * 4398), "each child's part is rounded down by itself"
    await house.settle()
    assert await states(house) == [("p1", "withdrawn"), ("p2", "withdrawn"), ("p3", "withdrawn")]
    await check(house)
