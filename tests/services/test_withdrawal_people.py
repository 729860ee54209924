"""Who withdraws, by which way, and who learns what of it (R71, R73, R78, R81, R86, R88, R91)."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from billing.kernel.errors import Invalid
from billing.kernel.ids import parse
from billing.privacy import service as privacy
from billing.subscriptions import service as subscriptions
from billing.subscriptions.routes import told
from billing.withdrawals import withdrawing
from billing.withdrawals.rules import Channel
from billing.withdrawals.withdrawing import Withdrawal
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
    terms,
    warsaw,
    withdraw,
)
from tests.services.test_leaving import KEPT, where_is

LAST = date(2026, 12, 7)
"""Of an order of 21 November 2026."""


async def enter(
    house: House, order: str, sent_on: date, *, channel: Channel = "letter", contact: str = "ul. Polna 1, Opole"
) -> Withdrawal:
    """What staff type in now."""
    async with house.database.begin() as session:
        return await withdrawing.enter_withdrawal(
            session, order, terms(house), channel=channel, sent_on=sent_on, by="ewa", name="Anna Żółć",
            contact=contact, at=house.now,
        )  # fmt: skip


async def test_r73_a_letter_sent_on_the_last_day_and_entered_five_days_later_is_accepted(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    house.stand_at(warsaw("2026-12-12"))
    taken = await enter(house, order, LAST)
    assert (taken.state, taken.refund, taken.sent_on, taken.entered_by) == ("accepted", 4499, LAST, "ewa")
    await house.settle()
    assert await refunds(house) == [("withdrawal", 4499, "succeeded")]
    assert await house.rows("select approved_by from refund") == [("ewa",)], "R79"
    assert await house.one("select actor from audit where action = 'withdrawal.taken_in'") == "ewa"
    letter = house.letters("anna")[-1]
    assert "7 grudnia 2026 r." in (letter.text or ""), "no mail reaches a street: the buyer's own address is written to"
    assert (await house.answer("anna", "p1")).reason == "withdrawn"
    await check(house)


async def test_r81_a_letter_sent_a_day_too_late_is_politely_refused(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    house.stand_at(warsaw("2026-12-12"))
    assert (await enter(house, order, LAST + timedelta(days=1))).state == "late"
    await house.settle()
    assert await refunds(house) == []
    assert await kinds(house) == [("order_confirmation", "handed_over"), ("withdrawal_too_late", "handed_over")]
    await check(house)


async def test_r72_a_letter_on_its_way_wins_over_a_click_that_came_too_late(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    house.stand_at(warsaw("2026-12-08"))
    assert (await withdraw(house, order)).state == "late"
    assert (await withdraw(house, order)).state == "late"
    house.stand_at(warsaw("2026-12-10"))
    taken = await enter(house, order, LAST)
    assert (taken.state, taken.channel, taken.refund) == ("accepted", "letter", 4499)
    assert (await enter(house, order, LAST)) == taken
    await house.settle()
    assert await refunds(house) == [("withdrawal", 4499, "succeeded")]
    moves = "select before, after from audit where action = 'withdrawal.taken_in' order by at"
    assert [tuple(row) for row in await house.rows(moves)] == [(None, "late"), ("late", "accepted")]
    await check(house)


@pytest.mark.parametrize("sent_on", [date(2026, 11, 20), date(2026, 11, 26)])
async def test_r73_a_day_before_the_order_or_after_today_is_no_day_of_sending(house: House, sent_on: date) -> None:
    order = await bought(house, "2026-11-21", "p1")
    house.stand_at(warsaw("2026-11-25"))
    with pytest.raises(Invalid) as refused:
        await enter(house, order, sent_on, channel="phone")
    assert [fault.pointer for fault in refused.value.faults] == ["/sent_on"]
    assert await house.one("select count(*) from withdrawal") == 0


async def test_r78_r87_the_other_parent_reads_since_when_it_is_over_and_neither_why_nor_who(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    await parent(house, "jan", "p1")
    house.stand_at(warsaw("2026-11-25"))
    ended = house.now
    assert (await house.answer("jan", "p1")).allowed
    await withdraw(house, order)
    await house.settle()
    assert not (await house.answer("jan", "p1")).allowed
    async with house.database.begin() as session:
        (row,) = await subscriptions.of_pupils(session, ["p1"])
    theirs, mine = (told(row, house.now, buyer=buyer) for buyer in ("jan", "anna"))
    assert (theirs.state, theirs.order, theirs.until) == ("ended", None, "2026-11-25T09:00:00Z")
    assert (mine.state, mine.order, mine.until) == ("withdrawn", order, "2026-11-25T09:00:00Z")
    assert ended == row.ended_at
    assert house.letters("jan") == [], "R78"


async def test_r71_whoever_holds_the_link_is_answered_and_the_buyer_learns_of_the_money(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    await withdraw(house, order, says(contact="babcia@poczta.example", name="Babcia Zofia"))
    await house.settle()
    assert [letter.subject for letter in house.letters() if letter.to == "babcia@poczta.example"] == [
        f"Potwierdzenie odstąpienia od umowy: zamówienie {await house.one('select number from orders')}"
    ]
    assert {kind for kind, _ in await kinds(house)} == {"order_confirmation", "withdrawal_received", "money_returned"}
    assert "44,99" in house.letters("anna")[-1].subject


async def test_r29_an_address_in_a_form_that_bounces_is_not_held_against_the_account(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    house.misbehave("bounce", "nikt@nigdzie.example")
    await withdraw(house, order, says(contact="nikt@nigdzie.example"))
    await house.settle()
    assert ("withdrawal_received", "bounced") in await kinds(house)
    assert await house.one("select bounced_at from account where account = 'anna'") is None


async def test_r86_what_was_declared_is_kept_sealed_and_nowhere_in_clear(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    told_ = says(name="Żaneta <Wężyk>", contact="zaneta@poczta.example", reason="Bo tak & już")
    await withdraw(house, order, told_)
    await house.settle()
    letter = next(one for one in house.letters() if one.to == "zaneta@poczta.example")
    assert "Żaneta <Wężyk>" in (letter.text or "")
    assert await where_is(house, "Wężyk", "zaneta@", "Bo tak") == {}
    async with house.database.begin() as session:
        row = await withdrawing.find(session, parse("ord", order))
        assert row is not None
        assert withdrawing.declared(row, house.services.site.secret) == told_


async def test_r88_an_erased_buyer_leaves_the_withdrawal_and_not_the_name(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    await withdraw(house, order)
    await house.settle()
    await house.erase("anna")
    await house.advance(house.now + timedelta(days=30))
    assert set(await where_is(house, "anna")) <= KEPT
    rows = await house.rows("select state, name, contact, reason from withdrawal")
    assert rows == [("accepted", None, None, None)]
    await check(house)


async def test_r69_r88_the_link_of_an_order_still_withdraws_once_its_buyer_is_erased(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    await parent(house, "jan", "p1")
    await house.erase("anna")
    await withdraw(house, order, says(contact="inna@poczta.example"))
    await house.settle()
    assert await refunds(house) == [("withdrawal", 4499, "succeeded")]
    assert [letter.to for letter in house.letters()][-1] == "inna@poczta.example"
    assert not (await house.answer("jan", "p1")).allowed
    await check(house)


async def test_i30_erased_before_the_answer_went_out_nobody_is_written_to(house: House) -> None:
    order = await bought(house, "2026-11-21", "p1")
    await withdraw(house, order)
    await house.erase("anna")
    await house.settle()
    assert ("withdrawal_received", "dropped") in await kinds(house)
    assert set(await where_is(house, "anna")) <= KEPT
    await check(house)


async def test_r91_an_export_shows_a_declaration_and_the_words_only_to_whom_they_belong(house: House) -> None:
    mine = await bought(house, "2026-11-21", "p1")
    await withdraw(house, mine, says(reason="Za drogo"))
    await parent(house, "jan", "p2")
    await house.buy("jan", "p2")
    await withdraw(house, await last_order(house), says(contact="anna@rodzice.example"))
    await house.settle()
    async with house.database.begin() as session:
        anna, jan = [await privacy.collect(session, name, house.services.site.secret) for name in ("anna", "jan")]
    found: Any = anna["orders"][0]["withdrawal"]
    assert (found["state"], found["channel"], found["sent_on"]) == ("accepted", "online", "2026-11-21")
    assert found["declared"] == {"name": "Anna Żółć", "contact": "anna@rodzice.example", "reason": "Za drogo"}
    assert jan["orders"][0]["withdrawal"]["declared"] is None
    assert "Żółć" not in json.dumps(jan, default=str, ensure_ascii=False)
    assert await states(house) == [("p1", "withdrawn"), ("p2", "withdrawn")]
