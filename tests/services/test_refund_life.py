"""A refund from its first word to the money's arrival, by whatever way it goes (R75–R79, R117, I13, F27–F35)."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from billing.cases import service as cases
from billing.cases.rules import SecondPersonNeeded
from billing.kernel.days import at_hour
from billing.kernel.errors import Conflict
from billing.payments import refunds as payments
from billing.payments.rules import RefundTooLarge
from billing.sandbox.stripe import refunds as theirs
from billing.withdrawals import goodwill
from billing.withdrawals.goodwill import Proposal, StaffReason
from tests.pages.reading import shown
from tests.services.house import House, spread
from tests.services.invariants import check
from tests.services.refunding import (
    PRICE,
    agree,
    approve,
    balance,
    bought,
    decide,
    failed,
    posts,
    propose,
    refund_outcome,
    refunds,
    rights,
    the_case,
)

# The staff's refunds


async def test_r78_a_part_refund_of_goodwill_leaves_the_pass_and_names_who_approved_it(house: House) -> None:
    order = await bought(house, "p1")
    found = await propose(house, order, 1000)
    assert found.refund is not None
    await house.settle()
    assert await refunds(house) == [("goodwill", 1000, "succeeded", "ewa")]
    assert await rights(house) == [("p1", "active")]
    letters = await house.rows("select kind from letter where kind = 'money_returned' and state = 'handed_over'")
    assert len(letters) == 1
    assert "skończyła się" not in str([one.text for one in house.letters() if "Zwracamy" in one.subject])
    await check(house)


async def test_r78_a_full_refund_ends_the_pass_and_its_trial_is_told_of_again(house: House) -> None:
    order = await bought(house, "p1")
    await propose(house, order, PRICE)
    await house.settle()
    assert await rights(house) == [("p1", "refunded")]
    (letter,) = [one for one in house.letters() if "Zwracamy" in one.subject]
    said = "Pełna wersja z tego zamówienia skończyła się 1 września 2026 r., godz. 10:00 CEST."
    assert said in shown(str(letter.text)), "since when"
    await check(house)
    await house.advance(at_hour(date(2026, 10, 10), 8))
    assert (await house.answer("anna", "p1")).allowed is False
    assert len(await house.rows("select 1 from letter where kind = 'trial_ending' and state = 'handed_over'")) == 1


async def test_r78_parts_that_make_up_the_whole_end_the_pass_too(house: House) -> None:
    order = await bought(house, "p1", "p2")
    await propose(house, order, PRICE)
    assert await rights(house) == [("p1", "active"), ("p2", "active")]
    await propose(house, order, PRICE, "non_conformity")
    assert await rights(house) == [("p1", "refunded"), ("p2", "refunded")]
    await house.settle()
    await check(house)


async def test_r117_above_the_limit_a_second_person_must_approve_and_nobody_approves_his_own(house: House) -> None:
    order = await bought(house, "p1", "p2", "p3")
    found = await propose(house, order, 3 * PRICE)
    assert found.refund is None
    assert found.case is not None
    assert await refunds(house) == []
    with pytest.raises(Conflict):
        await propose(house, order, 3 * PRICE, by="jan")
    async with house.database.begin() as session:
        with pytest.raises(SecondPersonNeeded):
            await goodwill.approve(session, await cases.find_case(session, found.case, lock=True), "ewa", "", house.now)
    await approve(house, found, "jan")
    await house.settle()
    assert await refunds(house) == [("goodwill", 3 * PRICE, "succeeded", "jan")]
    assert [state for _, state in await rights(house)] == ["refunded"] * 3
    await check(house)


async def test_r79_an_order_has_one_refund_for_a_reason_and_never_more_than_is_kept(house: House) -> None:
    order = await bought(house, "p1")
    await propose(house, order, 1000)
    with pytest.raises(Conflict):
        await propose(house, order, 1000)
    with pytest.raises(RefundTooLarge):
        await propose(house, order, 3500, "non_conformity")
    await propose(house, order, 3499, "non_conformity")
    await house.settle()
    assert sorted(await refunds(house)) == [
        ("goodwill", 1000, "succeeded", "ewa"),
        ("non_conformity", 3499, "succeeded", "ewa"),
    ]
    await check(house)


async def test_r77_i13_of_20_refunds_of_60_percent_of_one_payment_at_once_exactly_one_succeeds(house: House) -> None:
    """Two people, ten clicks each, four reasons: the payment's row and the database's bound let one through."""
    order = await bought(house, "p1")
    reasons: tuple[StaffReason, ...] = ("goodwill", "non_conformity", "sponsor_overlap", "school_block")
    sixty = PRICE * 6 // 10
    found = await asyncio.gather(
        *(propose(house, order, sixty, reasons[number % 4]) for number in range(20)), return_exceptions=True
    )
    assert sum(isinstance(answer, Proposal) for answer in found) == 1, found
    assert all(isinstance(answer, (Proposal, Conflict)) for answer in found), found
    await house.settle()
    assert [(amount, state) for _, amount, state, _ in await refunds(house)] == [(sixty, "succeeded")]
    assert len(house.world.standin._store.all_of("refund")) == 1
    await check(house)


# The ways money takes


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden", "no_balance"])
async def test_r75_f31_a_refund_waits_while_our_key_or_balance_is_at_fault_and_goes_once_it_is_mended(
    house: House, fault: str
) -> None:
    order = await bought(house, "p1")
    await propose(house, order, PRICE)
    await house.world.control("faults", {"api": fault})
    with capture_logs() as lines:
        await house.settle()
    assert [state for _, _, state, _ in await refunds(house)] == ["new"]
    assert await house.rows("select 1 from finance_case") == []
    assert await house.rows("select 1 from letter where kind = 'refund_by_bank'") == []
    alarms = [line for line in lines if line["event"] == "provider_needs_people"]
    assert alarms
    assert {line["log_level"] for line in alarms} == {"error"}
    await house.world.control("faults", {"api": "normal"})
    await house.advance(house.now + timedelta(hours=1))
    assert [state for _, _, state, _ in await refunds(house)] == ["succeeded"]
    assert len(house.world.standin._store.all_of("refund")) == 1
    await check(house)


async def test_r75_a_refund_that_fails_opens_the_bank_transfer_and_asks_the_buyer(house: House) -> None:
    await failed(house)
    assert [state for _, _, state, _ in await refunds(house)] == ["failed"]
    _, state, _, facts, due_at = await the_case(house, "bank_transfer")
    assert (state, facts["amount"]) == ("open", PRICE)
    assert due_at == datetime(2026, 9, 15, 22, tzinfo=UTC), "R76: the day the refund is due, not the case's own"
    assert spread(await house.rows("select state from letter where kind = 'refund_by_bank'")) == [("handed_over",)]
    await check(house)


async def test_r75_sent_by_two_people_with_the_buyers_agreement_it_is_booked_once_by_our_bank(house: House) -> None:
    await failed(house)
    with pytest.raises(Conflict):
        await decide(house, "sent", "ewa")
    await agree(house)
    assert not await decide(house, "sent", "ewa")
    with pytest.raises(SecondPersonNeeded):
        await decide(house, "sent", "ewa")
    assert await decide(house, "sent", "jan")
    assert [state for _, _, state, _ in await refunds(house)] == ["sent_by_bank"]
    assert (await balance(house, "bank"), await balance(house, "refunds_payable")) == (-PRICE, 0)
    await house.rows_changed(
        "update stripe_event set state = 'new', tries = 0, handled_at = null, due_at = received_at"
    )
    await house.settle()
    assert await balance(house, "bank") == -PRICE, "a webhook that comes later books nothing"
    assert [state for _, _, state, _ in await refunds(house)] == ["sent_by_bank"]
    with pytest.raises(RefundTooLarge):
        await propose(house, str(await house.one("select order_id from payment")), 1, "non_conformity")
    await check(house)


async def test_r75_what_two_people_waive_is_owed_no_more_and_may_be_refunded_anew(house: House) -> None:
    order = await failed(house)
    with pytest.raises(RefundTooLarge):
        await propose(house, order, 1, "non_conformity")
    assert not await decide(house, "dismissed", "ewa")
    assert await decide(house, "dismissed", "jan")
    assert [state for _, _, state, _ in await refunds(house)] == ["waived"]
    assert await balance(house, "refunds_payable") == 0
    await refund_outcome(house, "succeeded")
    await propose(house, order, PRICE, "non_conformity")
    await house.settle()
    assert [state for _, _, state, _ in await refunds(house)] == ["waived", "succeeded"]
    await check(house)


@pytest.mark.parametrize("limit", [10000, 1000])
async def test_r79_i13_a_waived_refund_is_followed_by_another_of_its_reason_as_often_as_it_is_waived(
    house: House, limit: int
) -> None:
    order = await bought(house, "p1")

    async def give() -> None:
        found = await propose(house, order, PRICE, limit=limit)
        if found.case is not None:
            await approve(house, found, "jan")
        await house.settle()

    await refund_outcome(house, "failed")
    for _ in range(2):
        await give()
        await house.advance(house.now + timedelta(minutes=5))
        for person in ("ewa", "jan"):
            await decide(house, "dismissed", person)
    await refund_outcome(house, "succeeded")
    await give()
    assert [(reason, state) for reason, _, state, _ in await refunds(house)] == [
        ("goodwill", "waived"),
        ("goodwill", "waived"),
        ("goodwill", "succeeded"),
    ]
    with pytest.raises(Conflict):
        await give()
    assert await balance(house, "refunds_payable") == 0
    await check(house)


async def test_r79_an_act_that_meets_a_refund_that_is_over_is_refused_and_changes_nothing(house: House) -> None:
    order = await bought(house, "p1", "p2")
    await refund_outcome(house, "failed")
    await propose(house, order, PRICE)
    await house.settle()
    await house.advance(house.now + timedelta(minutes=5))
    await house.rows_changed("update refund set approved_by = 'provider'")
    before = await refunds(house)
    with pytest.raises(Conflict):
        await propose(house, order, 1000)
    assert await refunds(house) == before


async def test_r75_a_refund_that_fails_after_its_case_was_closed_opens_it_again(house: House) -> None:
    order = await bought(house, "p1")
    await refund_outcome(house, "pending")
    await propose(house, order, PRICE)
    await house.settle()
    refund = await house.one("select stripe_refund from refund")
    about = "select about from finance_case where kind = 'bank_transfer'"
    async with house.database.begin() as session:
        found = await payments.read_refund(session, await session.scalar(text("select id from refund")))
        await cases.open_case(session, "bank_transfer", found.public_id, house.now, order=order)
    for person in ("ewa", "jan"):
        await decide(house, "dismissed", person)
    assert (await the_case(house, "bank_transfer"))[1] == "closed"
    await refund_outcome(house, "failed")
    await house.settle()
    assert (await the_case(house, "bank_transfer"))[1:3] == ("open", None)
    assert await house.one(about) == found.public_id
    assert refund
    await check(house)


async def test_r75_przelewy24_after_180_days_asks_stripe_for_nothing_and_opens_the_task(house: House) -> None:
    order = await bought(house, "p1", method="p24")
    house.stand_at(house.now + timedelta(days=181))
    await house.settle()
    asked = posts(house)
    await propose(house, order, PRICE)
    await house.settle()
    assert posts(house) == asked
    assert [state for _, _, state, _ in await refunds(house)] == ["failed"]
    assert (await the_case(house, "bank_transfer"))[3]["why"] == "too_old_for_its_method"
    await check(house)


async def test_r76_a_refund_that_came_back_after_it_looked_fine_is_owed_again_in_the_books(house: House) -> None:
    order = await bought(house, "p1")
    await propose(house, order, PRICE)
    await house.settle()
    assert await balance(house, "refunds_payable") == 0
    store = house.world.standin._store
    (refund,) = store.all_of("refund")
    with store.transaction():
        theirs.finish(house.world.standin._books(), refund, good=False)
    await house.settle()
    assert [state for _, _, state, _ in await refunds(house)] == ["failed"]
    assert await balance(house, "refunds_payable") == -PRICE
    assert (await the_case(house, "bank_transfer"))[1] == "open"
