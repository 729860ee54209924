"""Changed rights, told to webhook endpoints: each once, from their numbers."""

import asyncio

import pytest

from billing.kernel.days import iso
from tests.outgoing.receiver import Receiver
from tests.outgoing.yard import SECRET, Yard, data_of
from webhooks import outgoing_service as service
from webhooks.outgoing_tasks import TELL
from webhooks.outgoing_telling import CHANGED


async def news(yard: Yard, *seqs: int) -> None:
    """Numbered changes of rights, as the front desk publishes them."""
    for seq in seqs:
        await yard.say(
            "insert into entitlement_news (seq, account, pupil, cause, changed_at, effective_at)"
            " values (:seq, 'a1', 'p1', 'trial_started', :at, :at)",
            seq=seq,
            at=yard.clock.now(),
        )
        await yard.say("update entitlement_numbering set seq = :seq", seq=seq)


async def blocked(yard: Yard) -> None:
    """Until somebody waits for the mark of what was told."""
    query = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%webhook_mark%update'"
    )
    for _ in range(500):
        if (await yard.say(query)).scalar_one():
            return
        await asyncio.sleep(0.01)
    pytest.fail("nobody waits")


async def test_changed_rights_are_told_each_once_in_order_of_their_number(yard: Yard, receiver: Receiver) -> None:
    await news(yard, 1, 2, 3)
    await yard.endpoint(receiver, "entitlements.changed")
    await news(yard, *range(4, 12))
    async with yard.database.begin() as session:
        assert await yard.works[TELL].next_due(session) == yard.clock.now()
    others = [Yard(yard.database, yard.clock) for _ in range(3)]
    assert sum(await asyncio.gather(*(one.run(TELL) for one in (yard, *others)))) == 8
    assert await yard.run(TELL) == 0
    await yard.run()
    assert sorted(told["seq"] for told in data_of(receiver)) == list(range(4, 12))
    assert data_of(receiver)[0] == {
        "seq": data_of(receiver)[0]["seq"],
        "account": "a1",
        "pupil": "p1",
        "cause": "trial_started",
        "changed_at": iso(yard.clock.now()),
        "effective_at": iso(yard.clock.now()),
    }
    async with yard.database.begin() as session:
        assert await yard.works[TELL].next_due(session) is None


async def test_changes_that_are_kept_no_more_do_not_stop_the_telling(yard: Yard, receiver: Receiver) -> None:
    await yard.endpoint(receiver, "entitlements.changed")
    await news(yard, 5, 6)
    assert await yard.run(TELL) == 2


async def test_a_rolled_back_telling_tells_again_and_not_twice(yard: Yard, receiver: Receiver) -> None:
    """The mark and the deliveries are one transaction."""
    await yard.endpoint(receiver, "entitlements.changed")
    await news(yard, 1, 2)
    await yard.say("alter table webhook_mark add constraint full_up check (seq < 2)")
    with pytest.raises(Exception, match="full_up"):
        await yard.run(TELL)
    assert await yard.rows() == []
    await yard.say("alter table webhook_mark drop constraint full_up")
    assert await yard.run(TELL) == 2
    assert len(await yard.rows()) == 2


async def test_two_endpoints_made_at_one_instant_are_both_told_of_all_since_the_first(
    yard: Yard, receiver: Receiver
) -> None:
    await news(yard, 1)
    async with yard.database.begin() as session:
        at = yard.clock.now()
        await service.create(session, receiver.url, [CHANGED], at, secret=SECRET, loopback=True)
        second = asyncio.create_task(yard.endpoint(receiver, CHANGED))
        await blocked(yard)
        await news(yard, 2)
    await second
    assert await yard.run(TELL) == 1
    assert len(await yard.rows()) == 2
