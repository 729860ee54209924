"""What Stripe has against what we have, both ways: what is paid is granted at once, the rest is proposed and explained
(R56, R57, F34)."""

from datetime import timedelta

import pytest

from billing.cases.service import find_case
from billing.kernel.ids import public
from billing.payments.facts import ProviderUnknown
from billing.reconciliation.comparing import Scope, apply_finding
from billing.reconciliation.rules import NotApplicable
from billing.reconciliation.service import explain_finding
from tests.reconciliation.looking import (
    SWEEPS,
    audit_count,
    bend,
    look,
    open_cases,
    payment_of,
    refund_by_hand,
    short,
    silence,
    since,
    tell,
)
from tests.services.house import House


async def bought(house: House, account: str = "anna", method: str = "card", days: int = 0) -> str:
    """A family that has paid and is known to have; answers the charge."""
    await house.family(account, f"{account}-p")
    await house.buy(account, f"{account}-p", method=method)
    assert (await house.answer(account, f"{account}-p")).reason == "paid"
    if days:
        await house.advance(house.now + timedelta(days=days))
    return (await payment_of(house, account)).charge


async def case_id(house: House) -> str:
    key = await house.one("select id from finance_case where kind = 'finding' and state <> 'closed'")
    return public("case", key)


async def test_r56_paid_there_and_not_here_is_granted_at_once_and_leaves_a_trace(house: House) -> None:
    await silence(house)
    await house.family("anna", "p1")
    await house.pay(await house.click(await house.token("anna", "p1")))
    told = await tell(house)
    assert short(told) == [("paid_not_here", "missed_event", "grant")]
    assert (await house.answer("anna", "p1")).reason == "trial", "telling writes nothing"
    found = await look(house)
    assert (found.counts.granted, found.findings) == (1, ())
    assert (await house.answer("anna", "p1")).reason == "paid"
    (row,) = await house.rows("select account, after, reason from audit where action = 'reconciliation.granted'")
    assert tuple(row) == ("anna", "paid", "missed_event")
    assert await open_cases(house) == []


async def test_a_page_nobody_paid_raises_no_alarm_open_or_run_out(house: House) -> None:
    await silence(house)
    for name in ("left", "ran-out"):
        await house.family(name, f"{name}-p")
        await house.click(await house.token(name, f"{name}-p"))
    assert short(await tell(house)) == []
    house.stand_at(house.now + timedelta(hours=25))
    await house.world.standin.deliver_due()
    found = await look(house)
    assert (found.findings, found.counts.opened, found.abandoned) == ((), 0, 2)
    assert (await look(house)).done == ()
    assert await open_cases(house) == []


async def test_r57_a_page_paid_after_the_sweep_gave_up_is_found(house: House) -> None:
    await house.family("anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "p24", "pending")
    await house.settle()
    await silence(house)
    await house.rows_changed("update orders set check_at = null")
    await house.settle_payment(url, "succeeded")
    await house.advance(house.now + timedelta(hours=5), without=SWEEPS)
    assert (await house.answer("anna", "p1")).reason == "trial"
    assert (await look(house)).counts.granted == 1
    assert (await house.answer("anna", "p1")).reason == "paid"


async def test_a_page_older_than_the_time_looked_at_is_found_by_its_charge(house: House) -> None:
    await house.family("anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "p24", "pending")
    await silence(house)
    house.stand_at(house.now + timedelta(days=9))
    await house.settle_payment(url, "succeeded")
    found = await look(house, Scope(since=house.now - timedelta(hours=1)))
    assert found.counts.granted in {0, 1}
    if not found.counts.granted:  # the charge was begun when the page was
        found = await look(house, Scope(since=house.now - timedelta(hours=1), with_open=True))
    assert found.counts.granted == 1
    assert (await house.answer("anna", "p1")).reason == "paid"


async def test_a_bank_that_said_no_unheard_is_caught_up(house: House) -> None:
    await silence(house)
    await house.family("anna", "p1")
    url = await house.click(await house.token("anna", "p1"))
    await house.pay(url, "p24", "pending")
    assert (await look(house)).counts.caught_up == 1
    assert await house.one("select state from orders") == "pending"
    await house.settle_payment(url, "failed")
    assert (await look(house)).counts.caught_up == 1
    assert await house.one("select state from orders") == "failed"
    assert await open_cases(house) == []


async def test_i12_money_of_another_amount_than_accepted_waits_for_people(house: House) -> None:
    await silence(house)
    await house.family("anna", "p1")
    await house.pay(await house.click(await house.token("anna", "p1")))
    await house.rows_changed("update orders set unit_gross = 3999, total = 3999")
    found = await look(house)
    assert short(found) == [("amount_differs", "amount_differs", "look")]
    ((_, cause, severity, state),) = await open_cases(house)
    assert (cause, severity, state) == ("amount_differs", "critical", "open")
    assert (await look(house)).counts.opened == 0
    assert (await house.answer("anna", "p1")).reason == "trial"


async def test_an_amount_changed_at_stripe_is_found(house: House) -> None:
    charge = await bought(house)
    bend(house, "charge", charge, amount=4399, amount_captured=4399)
    found = await look(house)
    assert short(found) == [("amount_differs", "amount_differs", "look")]
    assert (found.findings[0].here, found.findings[0].there) == (4499, 4399)


async def test_a_refund_made_by_hand_is_proposed_and_applied_by_a_person_with_a_reason(house: House) -> None:
    charge = await bought(house)
    await silence(house)
    refund = await refund_by_hand(house, charge)
    found = await look(house)
    assert short(found) == [("refund_made_there", "manual_change_at_stripe", "take_on_refund")]
    assert (found.findings[0].subject, found.findings[0].severity) == (refund, "high")
    assert (await house.answer("anna", "anna-p")).reason == "paid", "nothing is taken from anybody by a machine"
    case = await case_id(house)
    outcome = await apply_finding(
        house.database, house.services.gateway, case, "staff:ewa", "agreed by phone", house.now
    )
    assert outcome == "succeeded"
    await house.settle(without=SWEEPS)
    assert await house.one("select state from subscription") == "refunded"
    async with house.database.begin() as session:
        row = await find_case(session, case)
    assert (row.state, row.outcome, row.closed_by, row.reason) == ("closed", "applied", "staff:ewa", "agreed by phone")
    assert (await look(house)).findings == ()


async def test_a_dispute_unseen_is_proposed_and_once_applied_goes_its_way(house: House) -> None:
    charge = await bought(house)
    await silence(house)
    await house.world.control(f"charges/{charge}/dispute", {"outcome": "opened"})
    assert short(await look(house)) == [("dispute_unseen", "missed_event", "take_on_dispute")]
    await apply_finding(house.database, house.services.gateway, await case_id(house), "staff:ewa", "seen", house.now)
    await house.settle(without=SWEEPS)
    assert await house.one("select count(*) from finance_case where kind = 'dispute' and state = 'open'") == 1
    assert (await look(house)).findings == ()
    await house.world.control(f"charges/{charge}/dispute", {"outcome": "lost"})
    found = await look(house)
    assert short(found) == [("dispute_differs", "missed_event", "take_on_dispute")]
    assert found.findings[0].severity == "critical", "the right is still in force"
    await apply_finding(house.database, house.services.gateway, await case_id(house), "staff:ewa", "lost", house.now)
    await house.settle(without=SWEEPS)
    assert await house.one("select state from subscription") == "disputed"
    assert (await look(house)).findings == ()


async def test_a_refund_that_failed_after_it_looked_fine_is_found(house: House) -> None:
    await house.family("anna", "p1")
    await house.family("jan", "p1")
    urls = [await house.click(await house.token(parent, "p1")) for parent in ("anna", "jan")]
    for url in urls:
        await house.pay(url, "card")
    await house.settle()
    (refund,) = await house.rows("select stripe_refund from refund where state = 'succeeded'")
    bend(house, "refund", refund.stripe_refund, status="failed", failure_reason="declined")
    found = await look(house)
    assert short(found) == [("refund_differs", "missed_event", "take_on_refund")]
    await apply_finding(house.database, house.services.gateway, await case_id(house), "staff:ewa", "it did", house.now)
    assert await house.one("select state from refund") == "failed"
    assert (await look(house)).findings == ()


async def test_money_and_refunds_that_stripe_does_not_know_are_found(house: House) -> None:
    await house.family("anna", "p1")
    await house.family("jan", "p1")
    for url in [await house.click(await house.token(parent, "p1")) for parent in ("anna", "jan")]:
        await house.pay(url, "card")
    await house.settle()
    store = house.world.standin._store
    (refund,) = store.all_of("refund")
    store.remove(refund["id"])
    found = await look(house)
    assert short(found) == [("missing_there", "gone_there", "look")]
    for charge in store.all_of("charge"):
        store.remove(charge["id"])
    assert short(await look(house)) == [("missing_there", "gone_there", "look")] * 3
    assert [severity for _, _, severity, _ in await open_cases(house)] == ["critical"] * 3


async def test_money_in_the_same_account_that_is_not_ours_is_kept_apart_without_alarm(house: House) -> None:
    charge = await house.world.paid()
    await refund_by_hand(house, charge.id, 100)
    found = await look(house)
    assert (found.findings, found.foreign, found.counts.not_ours) == ((), (charge.id,), 1)
    assert await open_cases(house) == []


async def test_f23_money_for_an_order_of_ours_that_we_lost_waits_for_people(house: House) -> None:
    lost = "ord_01kd0000000000000000000000"
    charge = await house.world.paid(payment_intent_data={"metadata": {"order": lost}})
    found = await look(house)
    assert short(found) == [("unknown_here", "lost_here", "look")]
    assert (found.findings[0].subject, found.findings[0].order) == (charge.payment_intent, lost)
    assert [severity for _, _, severity, _ in await open_cases(house)] == ["critical"]


async def test_s12_a_foreign_page_that_carries_our_mark_gives_nobody_anything(house: House) -> None:
    await house.family("anna", "p1")
    await house.click(await house.token("anna", "p1"))
    order = (await house.rows("select subject from audit where action = 'order.made'"))[0][0]
    await house.world.paid(metadata={"order": order}, payment_intent_data={"metadata": {"order": order}})
    found = await look(house)
    assert found.done == ()
    assert short(found) == [("paid_not_here", "foreign_object", "look")]
    assert (await house.answer("anna", "p1")).reason == "trial"
    assert (await look(house)).counts.opened == 0


async def test_what_a_person_explained_is_not_brought_up_again_and_what_is_gone_closes_itself(house: House) -> None:
    charge = await bought(house)
    await silence(house)
    await refund_by_hand(house, charge, 100)
    bend(house, "charge", charge, amount=4498, amount_captured=4498)
    assert sorted(kind for kind, _, _ in short(await look(house))) == ["amount_differs", "refund_made_there"]
    bend(house, "charge", charge, amount=4499, amount_captured=4499)
    assert (await look(house)).settled == 1
    async with house.database.begin() as session:
        await explain_finding(session, await case_id(house), "staff:ewa", "a test of ours", house.now)
    before = await audit_count(house)
    found = await look(house)
    assert (found.findings, found.counts.opened, (await tell(house)).findings) == ((), 0, ())
    assert await open_cases(house) == []
    assert await audit_count(house) == before
    bend(house, "charge", charge, amount=4498, amount_captured=4498)
    assert (await look(house)).counts.opened == 1, "what had settled itself differs again"


async def test_a_finding_without_a_proposal_cannot_be_applied(house: House) -> None:
    charge = await bought(house)
    bend(house, "charge", charge, amount=4399, amount_captured=4399)
    await look(house)
    with pytest.raises(NotApplicable):
        await apply_finding(house.database, house.services.gateway, await case_id(house), "staff:ewa", "so", house.now)


async def test_one_account_is_compared_whenever_its_payments_were(house: House) -> None:
    charge = await bought(house, "anna")
    other = await bought(house, "jan")
    await silence(house)
    house.stand_at(house.now + timedelta(days=60))
    for each in (charge, other):
        await refund_by_hand(house, each)
    house.stand_at(house.now + timedelta(days=60))
    assert short(await tell(house)) == []
    found = await look(house, Scope(since=house.now, account="anna"))
    assert [each.account for each in found.findings] == ["anna"]
    assert len(await open_cases(house)) == 1


async def test_f33_while_stripe_does_not_answer_nothing_is_done(house: House) -> None:
    await silence(house)
    await house.family("anna", "p1")
    await house.pay(await house.click(await house.token("anna", "p1")))
    before = await audit_count(house)
    await house.world.control("faults", {"api": "error_500"})
    with pytest.raises(ProviderUnknown):
        await look(house, since(house))
    assert await audit_count(house) == before
    await house.world.control("faults", {"api": "normal"})
    assert (await look(house)).counts.granted == 1
