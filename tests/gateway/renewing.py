"""Subscriptions for the tests of the stand-in: prices, a beginning, and time that passes as it would."""

from datetime import UTC, datetime
from typing import Any

from tests.gateway.world import World


def line(interval: str = "year", amount: int = 4499, quantity: int = 1) -> dict[str, Any]:
    """A line of a session or an item of a subscription."""
    price = {
        "currency": "pln",
        "unit_amount": amount,
        "recurring": {"interval": interval},
        "product_data": {"name": "Mobilne dodatki, odnawiane"},
    }
    return {"price_data": price, "quantity": quantity}


async def price(world: World, interval: str, amount: int) -> str:
    """The id of a recurring price that stands by itself."""
    made = await world.client.v1.prices.create_async(line(interval, amount)["price_data"])
    return made.id


async def begin(world: World, given: dict[str, Any] | None = None, method: str = "card", **more: Any) -> Any:
    """A subscription begun at checkout and paid."""
    session = await world.session(
        mode="subscription",
        line_items=[given or line()],
        subscription_data={"metadata": {"order": "ord_1"}},
        **more,
    )
    told = await world.control(f"sessions/{session.id}/pay", {"method": method, "outcome": "succeeded"})
    await world.standin.deliver_due()
    return await read(world, told["subscription"])


async def read(world: World, subscription: str) -> Any:
    """The subscription as it stands."""
    return await world.client.v1.subscriptions.retrieve_async(subscription)


async def latest(world: World, subscription: str) -> Any:
    """The subscription's latest invoice."""
    invoice = (await read(world, subscription)).latest_invoice
    return await world.client.v1.invoices.retrieve_async(invoice, {"expand": ["payments"]})


async def live_until(world: World, at: datetime) -> None:
    """Time passes as the sandbox lets it pass: from one due instant to the next."""
    while (due := world.standin.next_due()) is not None and due <= at:
        world.hands.at = max(world.hands.at, due)
        await world.standin.deliver_due()
    world.hands.at = at
    await world.standin.deliver_due()


def span(subscription: Any) -> tuple[datetime, datetime]:
    """The period, which stands on the item."""
    item = subscription["items"].data[0]
    return instant(item.current_period_start), instant(item.current_period_end)


def instant(stamp: int) -> datetime:
    """Stripe's seconds as an instant."""
    return datetime.fromtimestamp(stamp, UTC)
