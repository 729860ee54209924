"""A run that takes long holds up nobody, is not called a failure, and does not fail in silence."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from structlog.testing import capture_logs

from billing.kernel import metrics
from billing.worker import outcome


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own, as a worker process has it."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


def begun(loop: asyncio.AbstractEventLoop, go_on: asyncio.Event, ends: BaseException | int) -> Future[int]:
    async def run() -> int:
        await go_on.wait()
        if isinstance(ends, BaseException):
            raise ends
        return ends

    return asyncio.run_coroutine_threadsafe(run(), loop)


def failed() -> float:
    return metrics.COUNTED.get_sample_value("billing_work_failed_total", {"work": "a.look"}) or 0.0


@pytest.mark.parametrize("ends", [7, ValueError("x"), TimeoutError("y")])
def test_a_run_that_ends_in_time_is_told_as_it_ended(loop: asyncio.AbstractEventLoop, ends: Any) -> None:
    go_on = asyncio.Event()
    go_on.set()
    running = begun(loop, go_on, ends)
    if isinstance(ends, int):
        assert outcome("a.look", running, 10) == ends
    else:
        with pytest.raises(type(ends)):
            outcome("a.look", running, 10)


@pytest.mark.parametrize(("ends", "told"), [(7, []), (ValueError("x"), ["work_failed"])])
def test_a_long_run_goes_on_and_tells_of_its_failure_at_its_end(
    loop: asyncio.AbstractEventLoop, ends: Any, told: list[str]
) -> None:
    go_on, before = asyncio.Event(), failed()
    running = begun(loop, go_on, ends)
    with capture_logs() as said:
        assert outcome("a.look", running, 0.05) == 0
        assert not running.done()
        ended = threading.Event()
        running.add_done_callback(lambda _: ended.set())
        loop.call_soon_threadsafe(go_on.set)
        assert ended.wait(10)
    assert [line["event"] for line in said] == ["work_goes_on", *told]
    assert failed() - before == len(told)
