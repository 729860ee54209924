"""Limits: exact over all processes, and never the outage themselves (F26)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from billing.kernel.errors import TooMany
from billing.kernel.limits import Limit, Limiter
from billing.sandbox.valkey import EmbeddedValkey

SLOW = timedelta(hours=1)


@pytest.fixture
async def limiters(valkey: EmbeddedValkey) -> AsyncIterator[tuple[Limiter, Limiter]]:
    """Two processes' limiters on one broker."""
    made = (Limiter(valkey.url()), Limiter(valkey.url()))
    yield made
    for limiter in made:
        await limiter.close()


async def test_two_processes_together_let_through_exactly_the_quota(
    limiters: tuple[Limiter, Limiter], subject: str
) -> None:
    limit = Limit("exact", quota=50, window=SLOW)
    few = asyncio.Semaphore(16)

    async def one(n: int) -> bool:
        async with few:
            try:
                return await limiters[n % 2].take(limit, subject) is not None
            except TooMany:
                return False

    passed = await asyncio.gather(*(one(n) for n in range(200)))
    assert sum(passed) == 50


@pytest.mark.parametrize("quota", [1, 2, 5, 100])
async def test_a_burst_is_the_quota_and_what_remains_is_told(
    limiters: tuple[Limiter, Limiter], subject: str, quota: int
) -> None:
    limit = Limit("burst", quota=quota, window=SLOW)
    told = [await limiters[0].take(limit, subject) for _ in range(quota)]
    assert told == list(range(quota - 1, -1, -1))
    with pytest.raises(TooMany) as caught:
        await limiters[1].take(limit, subject)
    step = SLOW.total_seconds() / quota
    assert step - 5 <= caught.value.retry_after <= step + 1


async def test_whoever_waits_as_told_is_let_through(limiters: tuple[Limiter, Limiter], subject: str) -> None:
    """The quota is refilled evenly: one more each window / quota."""
    limit = Limit("refill", quota=4, window=timedelta(seconds=2))
    for _ in range(4):
        await limiters[0].take(limit, subject)
    with pytest.raises(TooMany) as caught:
        await limiters[0].take(limit, subject)
    assert caught.value.retry_after == 1
    await asyncio.sleep(caught.value.retry_after)
    assert await limiters[1].take(limit, subject) is not None


async def test_subjects_and_limits_are_counted_apart(limiters: tuple[Limiter, Limiter], subject: str) -> None:
    one, other = Limit("one", quota=1, window=SLOW), Limit("other", quota=1, window=SLOW)
    await limiters[0].take(one, subject)
    assert await limiters[0].take(one, f"{subject}-b") == 0
    assert await limiters[0].take(other, subject) == 0


async def test_a_refusal_does_not_lengthen_the_wait(limiters: tuple[Limiter, Limiter], subject: str) -> None:
    limit = Limit("refused", quota=1, window=timedelta(seconds=100))
    await limiters[0].take(limit, subject)
    waits: list[int] = []
    for _ in range(20):
        with pytest.raises(TooMany) as caught:
            await limiters[0].take(limit, subject)
        waits.append(caught.value.retry_after)
    assert max(waits) <= 100
    assert waits == sorted(waits, reverse=True)


async def test_a_broker_that_restarts_empty_counts_anew(valkey: EmbeddedValkey, subject: str) -> None:
    """F26: forgotten counts let through; nothing fails, the script is loaded again."""
    limiter = Limiter(valkey.url())
    limit = Limit("flushed", quota=1, window=SLOW)
    await limiter.take(limit, subject)
    client = Redis.from_url(valkey.url())
    await client.execute_command("FLUSHALL")
    await client.execute_command("SCRIPT", "FLUSH")
    await client.aclose()
    assert await limiter.take(limit, subject) == 0
    await limiter.close()


async def test_without_a_broker_everybody_is_let_through(subject: str) -> None:
    """F26: a limit protects from too much, and must not become the outage itself."""
    limit = Limit("gone", quota=1, window=SLOW)
    for url in ("redis://127.0.0.1:1/0", "amqp://127.0.0.1:1/", None):
        limiter = Limiter(url)
        assert [await limiter.take(limit, subject) for _ in range(3)] == [None, None, None]
        await limiter.close()


async def test_a_broker_that_goes_away_lets_through_and_one_that_comes_back_counts(
    tmp_path_factory: pytest.TempPathFactory, subject: str
) -> None:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey_going"))
    server.start()
    limiter = Limiter(server.url())
    limit = Limit("away", quota=2, window=SLOW)
    assert await limiter.take(limit, subject) == 1
    server.stop()
    assert await limiter.take(limit, subject) is None
    server.start()
    assert await limiter.take(limit, subject) == 0
    await limiter.close()
    server.stop()
