"""What people must look at is counted, and said aloud once at each step (R76, R80, R138)."""

from datetime import timedelta

from billing import health
from billing.cases import service as cases
from billing.cases import watching
from billing.cases.rules import KINDS
from billing.kernel import metrics
from billing.kernel.days import day_of
from billing.withdrawals import complaints, goodwill
from tests.services.house import House


async def waiting(house: House) -> dict[str, int]:
    async with house.database.begin() as session:
        return await health.waiting(session, house.now)


async def test_r138_money_that_was_told_of_and_gave_no_right_for_a_minute_is_counted(house: House) -> None:
    await house.family("anna", "p1")
    await house.pay(await house.click(await house.token("anna", "p1")))
    await house.take_events()
    house.stand_at(house.now + timedelta(seconds=59))
    assert await waiting(house) == {}
    house.stand_at(house.now + timedelta(seconds=1))
    assert await waiting(house) == {"paid_not_active": 1}
    assert [sample.value for found in metrics.PAID_NOT_ACTIVE.collect() for sample in found.samples] == [1]
    await house.settle()
    assert await waiting(house) == {}


async def test_r138_refunds_and_complaints_near_their_day_and_past_it_are_counted(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1", method="card")
    order = str(await house.one("select order_id from payment"))
    charge = await house.one("select stripe_charge from payment")
    await house.world.control(f"charges/{charge}/refund-outcome", {"outcome": "pending"})
    async with house.database.begin() as session:
        await goodwill.propose(session, order, 1000, "goodwill", "ewa", "", house.now)
        await complaints.register(session, "…", day_of(house.now), "ewa", "s" * 32, house.now, order=order)
    await house.settle()
    assert await waiting(house) == {}
    house.stand_at(house.now + timedelta(days=7))
    assert await waiting(house) == {"refunds_near": 1}
    house.stand_at(house.now + timedelta(days=4))
    assert await waiting(house) == {"refunds_near": 1, "complaint_near": 1}
    house.stand_at(house.now + timedelta(days=4))
    assert await waiting(house) == {"refunds_over": 1, "complaint_over": 1}


async def test_r138_open_cases_are_counted_by_kind_with_the_age_of_the_oldest(house: House) -> None:
    async with house.database.begin() as session:
        for number in range(3):
            await cases.open_case(session, "stray_money", f"pi_{number}", house.now + timedelta(hours=number))
        await cases.open_case(session, "finding", "pi_9", house.now)
        await cases.close_about(session, "finding", "pi_9", "explained", house.now, "")
        found = await watching.what_waits(session, house.now + timedelta(hours=5))
    assert [row.kind for row in found] == list(KINDS)
    assert {row.kind: (row.count, row.oldest_seconds) for row in found if row.count} == {"stray_money": (3, 18000)}


async def test_r76_a_case_is_warned_of_once_at_each_step_and_anew_when_it_opens_again(house: House) -> None:
    due = house.now + timedelta(days=14)
    async with house.database.begin() as session:
        await cases.open_case(session, "bank_transfer", "ref_1", house.now, due_at=due)
    told: list[timedelta] = []
    for _ in range(6):
        async with house.database.begin() as session:
            nearest = await watching.next_warning(session)
        if nearest is None:
            break
        house.stand_at(nearest)
        async with house.database.begin() as session:
            assert await watching.warn(session, house.now) == 1
            assert await watching.warn(session, house.now) == 0
        told.append(due - house.now)
    assert told == [timedelta(days=8), timedelta(days=4), timedelta(0)]
    async with house.database.begin() as session:
        await cases.close_about(session, "bank_transfer", "ref_1", "dismissed", house.now, "")
        assert await watching.next_warning(session) is None
        await cases.open_case(session, "bank_transfer", "ref_1", house.now, due_at=due, reopen=True)
        assert await watching.warn(session, house.now) == 1
