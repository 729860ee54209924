from datetime import date, datetime, timedelta
from typing import Any

import pytest

from billing.kernel.days import WARSAW, day_of
from billing.kernel.db import Database
from billing.kernel.work import Work
from billing.payments import service as payments
from billing.payments.facts import EventFacts, ListTooLong, ProviderUnknown
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import START, World
from tests.webhooks.conftest import kept
from webhooks.catching_up import catch_up, catching_up
from webhooks.inbox import EventRow
from webhooks.translate import HANDLED

LOOK = START + timedelta(days=1)
"""An hour after the first daily look is due: 4:00 in Warsaw on the day after the first call."""


@pytest.fixture
async def work(database: Database, gateway: StripeGateway) -> Work:
    """The daily look, after the provider has been asked for something."""
    async with database.begin() as session:
        await payments.reserve(session, "checkout", "ord_1", {}, START)
    return catching_up(database, gateway)


async def lose_everything(world: World) -> None:
    """A paid and disputed page of which no event ever reaches us."""
    await world.control("faults", {"webhooks": "drop"})
    charge = await world.paid()
    await world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"})
    await world.standin.deliver_due()
    assert world.receiver.letters == []


async def due(database: Database, work: Work) -> datetime | None:
    async with database.begin() as session:
        return await work.next_due(session)


async def found_in(database: Database) -> dict[str, EventRow]:
    return {row.type: row for row in await kept(database)}


async def test_i02_events_that_were_never_delivered_are_found_once(
    world: World, work: Work, database: Database
) -> None:
    await lose_everything(world)
    assert await work.run(LOOK) == 1
    found = await found_in(database)
    assert {"checkout.session.completed", "charge.dispute.created"} <= set(found) <= set(HANDLED)
    assert {row.state for row in found.values()} == {"new"}
    assert await work.run(LOOK) == 0
    assert await work.run(LOOK + timedelta(days=1)) == 1
    assert len(await found_in(database)) == len(found)


async def test_events_that_were_acknowledged_are_not_asked_for_again(
    world: World, work: Work, database: Database
) -> None:
    await world.paid()
    await world.standin.deliver_due()
    assert await work.run(LOOK) == 1
    assert await kept(database) == []


class ShortLists:
    """The gateway, giving up lists of more than so many events; and every list once a stretch begins late enough."""

    def __init__(self, gateway: StripeGateway, most: int) -> None:
        self._gateway = gateway
        self._most = most
        self.livemode = gateway.livemode
        self.down_from: datetime | None = None

    async def list_events(self, since: datetime, until: datetime, **how: Any) -> tuple[EventFacts, ...]:
        if self.down_from is not None and since >= self.down_from:
            raise ProviderUnknown("The payment provider does not answer.")
        found = await self._gateway.list_events(since, until, **how)
        if len(found) > self._most:
            raise ListTooLong("The list is too long to be read to its end.")
        return found


async def test_f34_of_more_events_than_a_list_may_have_every_one_is_kept_once(
    world: World, work: Work, gateway: StripeGateway, database: Database
) -> None:
    await world.control("faults", {"webhooks": "drop"})
    for _ in range(4):
        await world.paid()
        world.hands.pass_by(minutes=7)
    at = LOOK + timedelta(days=1)
    lost = [event for event in await gateway.list_events(START, at, undelivered=True) if event.type in HANDLED]
    assert len(lost) == 4
    short: Any = ShortLists(gateway, 1)
    short.down_from = START + timedelta(minutes=15)
    with pytest.raises(ProviderUnknown):
        await catch_up(database, short, START, at)
    assert 0 < len(await kept(database)) < len(lost), "what was read of the first part stays"
    short.down_from = None
    await catch_up(database, short, START, at)
    assert {row.id for row in await kept(database)} == {event.event_id for event in lost}


async def test_f33_while_the_provider_is_down_it_is_tried_again_every_hour_and_nothing_is_skipped(
    world: World, work: Work, database: Database
) -> None:
    await lose_everything(world)
    await world.control("faults", {"api": "error_500"})
    assert await work.run(LOOK) == 0
    assert await due(database, work) == LOOK + timedelta(hours=1)
    await world.control("faults", {"api": "normal"})
    assert await work.run(LOOK + timedelta(hours=1)) == 1
    assert "charge.dispute.created" in await found_in(database)


async def test_i23_there_is_one_look_a_day_at_four_in_warsaw_also_over_both_clock_changes(
    database: Database, work: Work
) -> None:
    days: list[date] = []
    for _ in range(200):
        at = await due(database, work)
        assert at is not None
        assert at.astimezone(WARSAW).hour == 4
        async with database.begin() as session:
            look = await payments.reserve(session, "events", day_of(at).isoformat(), {}, at)
            await payments.record_done(session, look.id, look.key, at)
        days.append(day_of(at))
    assert days == [day_of(START) + timedelta(days=number) for number in range(1, 201)]


async def test_nothing_is_looked_for_before_anything_was_asked(database: Database, gateway: StripeGateway) -> None:
    work = catching_up(database, gateway)
    assert await due(database, work) is None
    assert await work.run(LOOK) == 0
