"""Renewing subscriptions of which nothing was heard: what was paid is granted, first payment and renewal (R56)."""

from datetime import UTC, datetime

from tests.reconciliation.looking import SWEEPS, audit_count, look, short, silence, tell
from tests.renewing.selling import NIGHTLY, Shop
from tests.renewing.shopping import products, shop
from tests.services.house import House

__all__ = ["products", "shop"]

CHECKS = frozenset({"renewals.look"})


async def rights(house: House) -> list[tuple[str, datetime]]:
    rows = await house.rows("select state, until from subscription order by until")
    return [(row.state, row.until) for row in rows]


async def test_a_first_payment_that_was_never_heard_of_is_granted(shop: Shop) -> None:
    house = shop.house
    await silence(house)
    await house.family("anna", "p1")
    answer = await shop.order("anna", "p1")
    await house.pay(answer.headers["location"], "card")
    assert short(await tell(house)) == [("paid_not_here", "missed_event", "grant")]
    found = await look(house)
    assert (found.counts.granted, found.findings) == (1, ())
    assert (await house.answer("anna", "p1")).reason == "paid"
    before = await audit_count(house)
    again = await look(house)
    assert (again.done, again.findings) == ((), ())
    assert await audit_count(house) == before


async def test_a_renewal_that_was_never_heard_of_is_granted(shop: Shop) -> None:
    house = shop.house
    await house.family("anna", "p1")
    await shop.buy("anna", "p1")
    await shop.live(datetime(2026, 9, 30, 12, tzinfo=UTC))
    await silence(house)
    await house.advance(datetime(2026, 10, 2, 12, tzinfo=UTC), without=NIGHTLY | SWEEPS | CHECKS)
    assert await house.one("select count(*) from payment") == 1
    found = await look(house)
    assert (found.counts.granted, found.findings, found.foreign) == (1, (), ())
    assert await house.rows("select amount from payment") == [(599,), (599,)]
    assert max(until for _, until in await rights(house)) > datetime(2026, 10, 31, tzinfo=UTC)
    again = await look(house)
    assert (again.done, again.findings, again.foreign) == ((), (), ())
