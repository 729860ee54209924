"""The wall, with the stand-in behind it over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from billing.payments.stripe_gateway import StripeGateway
from tests.gateway import description
from tests.gateway.world import KEY, World, living


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fresh stand-in behind a real server; all that was said must agree with Stripe's own description."""
    async with living(tmp_path) as made:
        yield made
    if description.available():
        assert description.audit_store(tmp_path / "stripe.db") == []


@pytest.fixture
async def gateway(world: World) -> AsyncIterator[StripeGateway]:
    """The product's own gateway, pointed at the stand-in."""
    made = StripeGateway(KEY, world.base, timeout=3)
    yield made
    await made.close()
