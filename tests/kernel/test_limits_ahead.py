"""Limits counted ahead: a process gives out what it took from Valkey, and all together never more than the quota."""

import asyncio
from datetime import timedelta

import pytest

from billing.kernel.errors import TooMany
from billing.kernel.limits import ASK, KEPT, LEAST_AHEAD, Limit, Limiter
from billing.sandbox.valkey import EmbeddedValkey

SLOW = timedelta(hours=1)


async def uses(limiter: Limiter, limit: Limit, subject: str, times: int) -> int:
    """How many of so many uses pass, sixteen at a time."""
    few = asyncio.Semaphore(16)

    async def one() -> bool:
        async with few:
            try:
                return await limiter.take(limit, subject) is not None
            except TooMany:
                return False

    return sum(await asyncio.gather(*(one() for _ in range(times))))


async def test_one_process_lets_through_exactly_the_quota_and_tells_what_is_left(valkey: EmbeddedValkey, subject: str):
    limiter, limit = Limiter(valkey.url()), Limit("ahead", quota=500, window=SLOW, ahead=100)
    left: list[int | None] = [await limiter.take(limit, subject) for _ in range(3)]
    assert left == [499, 498, 497]
    assert await uses(limiter, limit, subject, 800) == 497
    with pytest.raises(TooMany):
        await limiter.take(limit, subject)
    await limiter.close()


async def test_several_processes_never_let_through_more_than_the_quota(valkey: EmbeddedValkey, subject: str):
    limit = Limit("together", quota=600, window=SLOW, ahead=50)
    workers = [Limiter(valkey.url()) for _ in range(4)]
    passed = sum(await asyncio.gather(*(uses(worker, limit, subject, 400) for worker in workers)))
    assert 600 - 50 * len(workers) <= passed <= 600
    for worker in workers:
        await worker.close()


async def test_what_was_taken_ahead_is_given_out_without_asking_for_a_second_at_most(
    valkey: EmbeddedValkey, subject: str
):
    limiter, limit = Limiter(valkey.url()), Limit("hand", quota=1000, window=SLOW, ahead=100)
    assert limiter.at_hand(limit, subject) == ASK
    await limiter.take(limit, subject)
    told = [limiter.at_hand(limit, subject) for _ in range(LEAST_AHEAD)]
    assert told == [*range(998, 999 - LEAST_AHEAD, -1), ASK]
    await limiter.take(limit, subject)
    await asyncio.sleep(KEPT)
    assert limiter.at_hand(limit, subject) == ASK
    await limiter.close()


async def test_a_limit_that_is_not_counted_ahead_is_always_asked_for(valkey: EmbeddedValkey, subject: str):
    limiter, limit = Limiter(valkey.url()), Limit("exact", quota=10, window=SLOW)
    assert [await limiter.take(limit, subject) for _ in range(3)] == [9, 8, 7]
    assert limiter.at_hand(limit, subject) == ASK
    await limiter.close()


async def test_with_valkey_gone_everybody_passes_and_it_is_asked_once_a_second_f26(subject: str):
    limiter, limit = Limiter("redis://127.0.0.1:1/0"), Limit("gone", quota=1, window=SLOW, ahead=10)
    assert limiter.at_hand(limit, subject) == ASK
    assert await limiter.take(limit, subject) is None
    assert [limiter.at_hand(limit, subject) for _ in range(100)] == [None] * 100
    await asyncio.sleep(KEPT)
    assert limiter.at_hand(limit, subject) == ASK
    await limiter.close()


async def test_the_next_uses_are_fetched_before_the_last_are_given_out_and_none_twice(
    valkey: EmbeddedValkey, subject: str
):
    limiter, limit = Limiter(valkey.url()), Limit("next", quota=100, window=SLOW, ahead=100)
    await limiter.take(limit, subject)
    given_out = 1
    while limiter.at_hand(limit, subject) != ASK:
        given_out += 1
    assert given_out == LEAST_AHEAD, "all that was taken, while the next are on their way"
    for _ in range(200):
        await asyncio.sleep(0.001)
        if limiter.at_hand(limit, subject) != ASK:
            break
    else:
        raise AssertionError("nothing was fetched")
    assert await uses(limiter, limit, subject, 200) == 100 - LEAST_AHEAD - 1
    await limiter.close()


async def test_uses_that_cannot_be_fetched_ahead_are_asked_for_when_they_are_needed_f26(
    tmp_path_factory: pytest.TempPathFactory, subject: str
):
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey_next"))
    server.start()
    limiter, limit = Limiter(server.url()), Limit("next", quota=100, window=SLOW, ahead=100)
    await limiter.take(limit, subject)
    server.stop()
    told = [limiter.at_hand(limit, subject) for _ in range(LEAST_AHEAD)]
    assert (told.count(ASK), told[-1]) == (1, ASK)
    await asyncio.sleep(0.1)
    assert limiter.at_hand(limit, subject) == ASK
    assert await limiter.take(limit, subject) is None, "nobody is kept out by it"
    await limiter.close()
