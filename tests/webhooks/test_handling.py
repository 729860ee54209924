import random
from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments.facts import Checkout, DisputeFacts, RefundFacts
from billing.payments.gateway_renewals import MandateFacts, SubscriptionFacts
from billing.payments.rules import ForeignObject
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import World
from tests.webhooks.conftest import Door, event, kept
from webhooks import service
from webhooks.handling import Rooms, handling


class Judges:
    """Rooms that write down what they were given, and say what the test tells them to."""

    def __init__(self) -> None:
        self.pages: list[Checkout] = []
        self.refunds: list[RefundFacts] = []
        self.disputes: list[DisputeFacts] = []
        self.subscriptions: list[SubscriptionFacts] = []
        self.answer = "paid"
        self.fault: Exception | None = None

    async def checkout(self, session: AsyncSession, facts: Checkout, at: datetime) -> str:
        if self.fault is not None:
            raise self.fault
        self.pages.append(facts)
        return self.answer

    async def refund(self, session: AsyncSession, facts: RefundFacts, at: datetime) -> str:
        self.refunds.append(facts)
        return facts.state

    async def dispute(self, session: AsyncSession, facts: DisputeFacts, at: datetime) -> str:
        self.disputes.append(facts)
        return facts.state

    async def subscription(self, session: AsyncSession, facts: SubscriptionFacts, at: datetime) -> str:
        self.subscriptions.append(facts)
        return facts.standing

    async def mandate(self, session: AsyncSession, facts: MandateFacts, at: datetime) -> str:
        return "not_ours"

    async def is_bound(self, session: AsyncSession, subscription_id: str) -> bool:
        return True


@pytest.fixture
def judges() -> Judges:
    return Judges()


@pytest.fixture
def work(database: Database, gateway: StripeGateway, judges: Judges) -> Work:
    rooms = Rooms(
        checkout=judges.checkout, refund=judges.refund, dispute=judges.dispute, subscription=judges.subscription,
        mandate=judges.mandate, is_bound=judges.is_bound,
    )  # fmt: skip
    return handling(database, gateway, rooms)


async def due(database: Database) -> datetime | None:
    async with database.begin() as session:
        return await service.next_due(session)


async def deliver(world: World, door: Door) -> None:
    """Carry everything the stand-in has sent to our door, as it was signed there."""
    await world.standin.deliver_due()
    for letter in world.receiver.letters:
        assert (await door.send(letter.body)).status_code == 200


async def test_i01_an_event_makes_us_read_the_object_again_and_judge_it_as_it_is_now(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    page = await world.session()
    await world.control(f"sessions/{page.id}/pay", {"method": "p24", "outcome": "pending"})
    await world.control(f"sessions/{page.id}/settle", {"outcome": "succeeded"})
    await deliver(world, door)
    assert await work.run(clock.now()) > 0
    assert await work.run(clock.now()) == 0
    assert {told.session_id for told in judges.pages} == {page.id}
    assert {told.payment_status for told in judges.pages} == {"paid"}
    states = {row.type: (row.state, row.note) for row in await kept(database)}
    assert states["checkout.session.completed"] == ("done", "paid")
    assert states["charge.succeeded"] == ("ignored", "charge.succeeded changes nothing here")
    assert await due(database) is None


async def test_i01_any_order_and_any_number_of_copies_end_the_same(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    await world.paid("blik")
    await world.standin.deliver_due()
    letters = [letter.body for letter in world.receiver.letters] * 10
    random.Random(7).shuffle(letters)
    for body in letters:
        await door.send(body)
    while await work.run(clock.now()):
        pass
    rows = await kept(database)
    assert len(rows) == len(world.receiver.letters)
    assert {row.state for row in rows} == {"done", "ignored"}
    assert len(judges.pages) == 1


async def test_a_page_that_is_not_ours_is_ignored_with_its_reason(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    judges.answer = "not_ours"
    await world.paid()
    await deliver(world, door)
    await work.run(clock.now())
    (row,) = [row for row in await kept(database) if row.type == "checkout.session.completed"]
    assert (row.state, row.note, row.handled_at) == ("ignored", "not_ours", clock.now())


async def test_refund_events_reach_the_room_of_refunds_and_refunded_charges_their_page(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    charge = await world.paid()
    refund = await world.client.v1.refunds.create_async({"charge": charge.id, "amount": 1000})
    await deliver(world, door)
    await work.run(clock.now())
    assert {told.refund_id for told in judges.refunds} == {refund.id}
    refunded = [row for row in await kept(database) if row.type == "charge.refunded"]
    assert [row.state for row in refunded] == ["done"]
    assert all(told.payment is not None and told.payment.amount_refunded == 1000 for told in judges.pages)


async def test_r60_a_dispute_is_read_again_and_judged_as_it_is_now(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    charge = await world.paid()
    await world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"})
    await world.control(f"charges/{charge.id}/dispute", {"outcome": "lost"})
    await deliver(world, door)
    await work.run(clock.now())
    (row,) = [row for row in await kept(database) if row.type == "charge.dispute.created"]
    assert (row.state, row.note) == ("done", "lost")
    assert {(told.state, told.charge_id) for told in judges.disputes} == {("lost", charge.id)}


async def test_an_object_the_provider_does_not_know_is_parked(
    door: Door, work: Work, database: Database, clock: FixedClock
) -> None:
    await door.send(event())
    await work.run(clock.now())
    (row,) = await kept(database)
    assert (row.state, row.note) == ("parked", "ProviderMissing: resource_missing")


async def test_s12_a_page_that_only_claims_to_be_ours_is_parked(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    judges.fault = ForeignObject("Not ours.")
    await world.paid()
    await deliver(world, door)
    await work.run(clock.now())
    (row,) = [row for row in await kept(database) if row.type == "checkout.session.completed"]
    assert (row.state, row.note) == ("parked", "ForeignObject: foreign_object")


async def test_f33_while_the_provider_is_down_events_wait_and_none_is_parked(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    page = await world.session()
    await world.control(f"sessions/{page.id}/pay", {"method": "card", "outcome": "succeeded"})
    await deliver(world, door)
    await world.control("faults", {"api": "error_500"})
    end = clock.now() + timedelta(days=3)
    while (at := await due(database)) is not None and at < end:
        await work.run(at)
    assert judges.pages == []
    assert "parked" not in {row.state for row in await kept(database)}
    await world.control("faults", {"api": "normal"})
    assert at is not None
    await work.run(at)
    assert [told.payment_status for told in judges.pages] == ["paid"]


async def test_i24_a_poison_event_is_tried_twelve_times_then_parked_and_delays_no_other(
    world: World, door: Door, work: Work, judges: Judges, database: Database, clock: FixedClock
) -> None:
    await world.paid()
    await deliver(world, door)
    judges.fault = ValueError("poison")
    runs = 0
    while (at := await due(database)) is not None:
        await work.run(at)
        runs += 1
    assert runs == service.MOST_TRIES
    states = {row.type: (row.state, row.note, row.tries) for row in await kept(database)}
    assert states["checkout.session.completed"] == ("parked", "ValueError", 12)
    assert states["charge.succeeded"][0] == "ignored"


async def test_i24_an_event_whose_worker_died_is_due_again_after_its_lease_and_parked_in_the_end(
    door: Door, database: Database, clock: FixedClock
) -> None:
    await door.send(event())
    for number in range(1, service.MOST_TRIES + 2):
        at = await due(database)
        if at is None:
            break
        async with database.begin() as session:
            claimed = await service.claim(session, at, 10)
        assert [taken.tries for taken in claimed] == ([number] if number <= service.MOST_TRIES else [])
    (row,) = await kept(database)
    assert (row.state, row.note) == ("parked", "too many tries")
    assert row.due_at == clock.now() + service.LEASE * service.MOST_TRIES


async def test_two_workers_never_hold_the_same_event(door: Door, database: Database, clock: FixedClock) -> None:
    for number in range(10):
        await door.send(event(id=f"evt_{number}"))
    async with database.begin() as one, database.begin() as two:
        first = await service.claim(one, clock.now(), 6)
        second = await service.claim(two, clock.now(), 10)
    assert len({taken.id for taken in (*first, *second)}) == len(first) + len(second) == 10


async def test_a_kept_event_can_be_handled_again_by_hand(
    door: Door, database: Database, work: Work, clock: FixedClock
) -> None:
    await door.send(event())
    await work.run(clock.now())
    async with database.begin() as session:
        assert await service.replay(session, "evt_1", clock.now())
        assert not await service.replay(session, "evt_none", clock.now())
    (row,) = await kept(database)
    assert (row.state, row.tries, row.due_at) == ("new", 0, clock.now())
