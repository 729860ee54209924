from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from billing.catalog.push import diff, push, told
from billing.catalog.service import load
from billing.payments.stripe_gateway import StripeGateway
from tests.catalog.samples import SEASON, price, priced
from tests.gateway.world import KEY, living


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[StripeGateway]:
    async with living(tmp_path) as world:
        made = StripeGateway(KEY, world.base, timeout=3)
        yield made
        await made.close()


async def test_pushing_makes_the_provider_agree_and_pushing_again_changes_nothing(gateway: StripeGateway) -> None:
    planned = await diff(gateway, load())
    assert told(planned) == [
        "+ mobile-addons-season: Mobilne dodatki",
        "+ mobile-addons-season.2026-27.4499.pln: 44.99 PLN",
        "+ mobile-addons-season.2027-28.4499.pln: 44.99 PLN",
        "+ mobile-addons-monthly: Mobilne dodatki co miesiąc (off)",
        "+ mobile-addons-monthly.month.599.pln: 5.99 PLN",
    ]
    assert await push(gateway, load()) == planned
    assert await diff(gateway, load()) == ()
    assert await push(gateway, load()) == ()


async def test_another_amount_is_another_price_and_the_old_one_stays(gateway: StripeGateway) -> None:
    await push(gateway, load())
    old = load().product(SEASON).prices
    dearer = priced(price(4999, old[0].valid_from, old[0].valid_until), old[1])
    assert [change.name for change in await push(gateway, dearer)] == ["mobile-addons-season.2026-27.4999.pln"]
    assert await diff(gateway, load()) == ()
