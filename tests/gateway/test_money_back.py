"""Refunds, disputes, the balance and payouts."""

from typing import Any

import pytest
import stripe

from tests.gateway.world import World


async def _refund(world: World, charge: Any, **more: Any) -> Any:
    return await world.client.v1.refunds.create_async({"charge": charge.id, **more})


@pytest.mark.parametrize("method", ["card", "blik", "p24"])
async def test_a_whole_refund_gives_everything_back(world: World, method: str) -> None:
    charge = await world.paid(method)
    refund = await _refund(world, charge, metadata={"why": "withdrawal"}, reason="requested_by_customer")
    assert (refund.status, refund.amount, refund.destination_details.type) == ("succeeded", 4499, method)
    after = await world.client.v1.charges.retrieve_async(charge.id, {"expand": ["refunds"]})
    assert (after.refunded, after.amount_refunded, after.refunds.data[0].id) == (True, 4499, refund.id)
    await world.standin.deliver_due()
    assert world.receiver.types[-2:] == ["charge.refunded", "refund.created"]


async def test_refunds_together_never_exceed_the_charge(world: World) -> None:
    charge = await world.paid()
    await _refund(world, charge, amount=4000)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await _refund(world, charge, amount=500)
    await _refund(world, charge, amount=499)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await _refund(world, charge)
    assert refused.value.code == "charge_already_refunded"


async def test_p24_gives_nothing_back_after_180_days_but_a_card_does(world: World) -> None:
    p24, card = await world.paid("p24"), await world.paid("card")
    world.hands.pass_by(days=180)
    assert (await _refund(world, p24, amount=100)).status == "succeeded"
    world.hands.pass_by(seconds=1)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await _refund(world, p24)
    assert refused.value.code == "charge_not_refundable"
    assert (await _refund(world, card)).status == "succeeded"


@pytest.mark.parametrize(("outcome", "event"), [("succeeded", "refund.updated"), ("failed", "refund.failed")])
async def test_a_pending_refund_ends_when_the_bank_says_so(world: World, outcome: str, event: str) -> None:
    charge = await world.paid("p24")
    await world.control(f"charges/{charge.id}/refund-outcome", {"outcome": "pending"})
    refund = await _refund(world, charge)
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    world.hands.pass_by(days=2)
    told = await world.control(f"charges/{charge.id}/refund-outcome", {"outcome": outcome})
    assert told["settled"] == 1
    assert (await world.client.v1.refunds.retrieve_async(refund.id)).status == outcome
    await world.standin.deliver_due()
    assert event in world.receiver.types
    left = await world.client.v1.charges.retrieve_async(charge.id)
    assert left.amount_refunded == (4499 if outcome == "succeeded" else 0)


async def test_a_refund_can_fail_after_it_looked_fine_and_then_be_tried_again(world: World) -> None:
    charge = await world.paid("blik")
    await world.control(f"charges/{charge.id}/refund-outcome", {"outcome": "failed"})
    refund = await _refund(world, charge)
    assert refund.status == "pending"
    await world.standin.deliver_due()
    failed = await world.client.v1.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "declined")
    await world.control(f"charges/{charge.id}/refund-outcome", {"outcome": "succeeded"})
    assert (await _refund(world, charge)).status == "succeeded"
    listed = await world.client.v1.refunds.list_async({"charge": charge.id})
    assert [row.status for row in listed.data] == ["succeeded", "failed"]


async def test_what_has_not_been_paid_cannot_be_refunded(world: World) -> None:
    session = await world.session()
    told = await world.control(f"sessions/{session.id}/pay", {"method": "p24", "outcome": "pending"})
    with pytest.raises(stripe.InvalidRequestError):
        await world.client.v1.refunds.create_async({"payment_intent": told["payment_intent"]})
    with pytest.raises(stripe.InvalidRequestError):
        await world.client.v1.refunds.create_async({})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.client.v1.refunds.create_async({"charge": "ch_none"})
    assert (refused.value.http_status, refused.value.code) == (400, "resource_missing")


@pytest.mark.parametrize(("outcome", "back"), [("won", 4499), ("lost", 0)])
async def test_a_dispute_takes_the_money_and_its_end_decides_who_has_it(world: World, outcome: str, back: int) -> None:
    charge = await world.paid()
    dispute = await world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"})
    assert dispute["status"] == "needs_response"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await _refund(world, charge)
    assert refused.value.code == "charge_disputed"
    await world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"}, expect=409)
    closed = await world.control(f"charges/{charge.id}/dispute", {"outcome": outcome})
    assert closed["status"] == outcome
    await world.control(f"charges/{charge.id}/dispute", {"outcome": outcome}, expect=409)
    found = await world.client.v1.disputes.retrieve_async(dispute["id"])
    assert sum(row.amount for row in found.balance_transactions) == back - 4499
    await world.standin.deliver_due()
    assert {"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed"} <= set(
        world.receiver.types
    )
    assert ("charge.dispute.funds_reinstated" in world.receiver.types) == (outcome == "won")


async def test_p24_knows_no_disputes_and_blik_does(world: World) -> None:
    p24, blik = await world.paid("p24"), await world.paid("blik")
    await world.control(f"charges/{p24.id}/dispute", {"outcome": "opened"}, expect=409)
    await world.control(f"charges/{blik.id}/dispute", {"outcome": "lost"})
    assert [row.charge for row in (await world.client.v1.disputes.list_async()).data] == [blik.id]


async def test_evidence_is_handed_in(world: World) -> None:
    charge = await world.paid()
    dispute = await world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"})
    told = await world.client.v1.disputes.update_async(dispute["id"], {"evidence": {"product_description": "Dodatki"}})
    assert (told.status, told.evidence.product_description) == ("under_review", "Dodatki")


async def test_a_payout_is_what_its_lines_say_r112(world: World) -> None:
    charges = [await world.paid(method) for method in ("card", "blik", "p24")]
    await _refund(world, charges[0], amount=1000)
    await world.control(f"charges/{charges[1].id}/dispute", {"outcome": "lost"})
    await world.control("payouts", {}, expect=409)
    world.hands.pass_by(days=3)
    payout = await world.control("payouts", {})
    lines = (await world.client.v1.balance_transactions.list_async({"payout": payout["id"], "limit": 100})).data
    assert sum(line.net for line in lines if line.type != "payout") == payout["amount"]
    assert sum(line.net for line in lines) == 0
    assert {line.type for line in lines} == {"charge", "refund", "adjustment", "payout"}
    assert [row.id for row in (await world.client.v1.payouts.list_async()).data] == [payout["id"]]
    await world.control("payouts", {}, expect=409)


async def test_money_becomes_available_by_time_alone(world: World) -> None:
    charge = await world.paid()
    read = world.client.v1.balance_transactions.retrieve_async
    assert (await read(charge.balance_transaction)).status == "pending"
    world.hands.pass_by(days=3)
    assert (await read(charge.balance_transaction)).status == "available"
    assert (await world.control("payouts", {"include_pending": True}))["status"] == "paid"
