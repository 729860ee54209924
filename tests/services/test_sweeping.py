"""Orders whose news was lost are asked about several at once, and never in an event's way (R56, R58)."""

import asyncio
from datetime import timedelta
from typing import Any

from billing.checkout.tasks import SWEEP, works
from billing.kernel.work import AT_ONCE
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import KEY, World, served
from tests.services.house import House
from webhooks.service import HANDLE


class Crowded:
    """A Stripe that answers nobody until as many ask at once as may."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_full = asyncio.Event()
        self._under_way = 0
        self.most_under_way = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """One question."""
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        if self._under_way == AT_ONCE:
            self._is_full.set()
        try:
            await self._is_full.wait()
            await self._world.app(scope, receive, send)
        finally:
            self._under_way -= 1


async def test_r56_the_sweep_asks_about_several_orders_at_once_and_of_each_learns_what_happened(house: House) -> None:
    number = AT_ONCE + 3
    for each in range(number):
        await house.family(f"a{each}", f"p{each}")
        await house.pay(await house.click(await house.token(f"a{each}", f"p{each}")))
    at = house.now + timedelta(days=1)
    stripe = Crowded(house.world)
    async with served(stripe.app) as port:
        gateway = StripeGateway(KEY, f"http://127.0.0.1:{port}", timeout=2)
        try:
            (sweep,) = works(house.database, gateway)
            assert await sweep.run(at) == number
        finally:
            await gateway.close()
    assert [tuple(row) for row in await house.rows("select state, count(*) from orders group by 1")] == [
        ("paid", number)
    ]
    assert stripe.most_under_way == AT_ONCE


async def test_r58_what_calls_stripe_at_times_of_its_own_never_stands_before_an_event(house: House) -> None:
    queues = {work.name: work.queue for work in house.services.works}
    beside = {name for name, queue in queues.items() if queue == queues[HANDLE]}
    assert beside == {HANDLE, "outbox.relay", "outgoing.tell", "outgoing.send", "entitlements.number"}
    assert queues[SWEEP] == "provider"
