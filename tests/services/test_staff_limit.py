"""How much one of the staff gives back of an order alone (R117)."""

from datetime import timedelta

from tests.services.house import House
from tests.services.invariants import check
from tests.services.refunding import PRICE, approve, bought, decide, propose, refund_outcome, refunds


async def test_r117_the_limit_counts_all_that_was_given_of_an_order_without_a_second_person(house: House) -> None:
    order = await bought(house, "p1", "p2", "p3")
    assert (await propose(house, order, 10000)).refund is not None
    rest = await propose(house, order, 3 * PRICE - 10000, "non_conformity")
    assert rest.refund is None, "nobody gives an order back alone in parts, whatever the reasons"
    assert (await propose(house, order, 1, "sponsor_overlap", by="jan")).refund is None, "nor does another alone"
    await approve(house, rest, "jan")
    await house.settle()
    assert sorted(await refunds(house)) == [
        ("goodwill", 10000, "succeeded", "ewa"),
        ("non_conformity", 3 * PRICE - 10000, "succeeded", "jan"),
    ]
    await check(house)


async def test_r117_what_two_people_gave_and_what_was_waived_leave_the_limit_whole(house: House) -> None:
    order = await bought(house, "p1", "p2", "p3")
    await approve(house, await propose(house, order, 2000, limit=1000), "jan")
    await house.settle()
    assert (await propose(house, order, 1000, "non_conformity", limit=1000)).refund is not None
    assert (await propose(house, order, 1, "sponsor_overlap", limit=1000)).refund is None
    await refund_outcome(house, "failed")
    await house.settle()
    await house.advance(house.now + timedelta(minutes=5))
    for person in ("ewa", "jan"):
        await decide(house, "dismissed", person)
    assert sorted((amount, state) for _, amount, state, _ in await refunds(house)) == [
        (1000, "waived"),
        (2000, "succeeded"),
    ]
    assert (await propose(house, order, 1000, "school_block", limit=1000)).refund is not None
