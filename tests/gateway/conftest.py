"""The world of each test, audited against Stripe's description when the test is over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import stripe

from tests.gateway import description
from tests.gateway.world import World, living


@pytest.fixture(autouse=True)
def quiet_library() -> None:
    """The library tells nobody anything."""
    stripe.enable_telemetry = False


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fresh stand-in behind a real server; afterwards every answer, event, object and request is judged."""
    async with living(tmp_path) as made:
        yield made
    if description.available():
        assert description.audit_store(tmp_path / "stripe.db") == []
