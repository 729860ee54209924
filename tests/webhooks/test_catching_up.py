from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import World
from tests.webhooks.conftest import Door, kept
from webhooks.catching_up import catching_up
from webhooks.inbox import EventRow
from webhooks.translate import HANDLED


async def lose_everything(world: World) -> None:
    """A paid and disputed page of which no event ever reaches us."""
    await world.control("faults", {"webhooks": "drop"})
    charge = await world.paid()
    await world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"})
    await world.standin.deliver_due()
    assert world.receiver.letters == []


def work_of(database: Database, gateway: StripeGateway) -> Work:
    return catching_up(database, gateway, expects_livemode=False)


async def new_ones(database: Database) -> dict[str, EventRow]:
    return {row.type: row for row in await kept(database)}


async def test_i02_events_that_were_never_delivered_are_found_once(
    world: World, gateway: StripeGateway, database: Database, clock: FixedClock
) -> None:
    await lose_everything(world)
    work = work_of(database, gateway)
    assert await work.run(clock.now()) == 1
    found = await new_ones(database)
    assert {"checkout.session.completed", "charge.dispute.created"} <= set(found) <= set(HANDLED)
    assert {row.state for row in found.values()} == {"new"}
    assert await work.run(clock.now()) == 0
    world.hands.pass_by(days=1)
    await work.run(clock.now() + timedelta(days=1))
    assert len(await new_ones(database)) == len(found)


async def test_events_that_were_acknowledged_are_not_asked_for_again(
    world: World, gateway: StripeGateway, database: Database, clock: FixedClock, door: Door
) -> None:
    await world.paid()
    await world.standin.deliver_due()
    assert await work_of(database, gateway).run(clock.now()) == 1
    assert await kept(database) == []


async def test_f33_while_the_provider_is_down_it_is_tried_again_every_hour_and_nothing_is_skipped(
    world: World, gateway: StripeGateway, database: Database, clock: FixedClock
) -> None:
    await lose_everything(world)
    work = work_of(database, gateway)
    await world.control("faults", {"api": "error_500"})
    assert await work.run(clock.now()) == 0
    async with database.begin() as session:
        assert await _due(work, session) == clock.now() + timedelta(hours=1)
    await world.control("faults", {"api": "normal"})
    assert await work.run(clock.now() + timedelta(hours=1)) == 1
    assert "charge.dispute.created" in await new_ones(database)


async def _due(work: Work, session: AsyncSession) -> object:
    return await work.next_due(session)
