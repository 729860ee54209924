"""A worker that holds messages on which nobody works, and so fetches no more."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery.worker import state
from kombu.connection import Connection

from billing.worker import Hearing, held

AT_ONCE = 2


@pytest.fixture
def consumer() -> Any:
    """As much of Celery's consumer as is looked at, on a real channel that counts what is held."""
    channel: Any = Connection("memory://").channel()
    channel.basic_qos(0, AT_ONCE, False)
    return SimpleNamespace(task_consumer=SimpleNamespace(channel=channel), timer=None)


def fetch(consumer: Any, *tags: str) -> None:
    for tag in tags:
        consumer.task_consumer.channel.qos.append(object(), tag)


def test_what_is_held_in_vain_twice_ends_the_connection(consumer: Any) -> None:
    hearing = Hearing(consumer)
    fetch(consumer, "one")
    hearing.look(consumer)
    fetch(consumer, "two")
    with pytest.raises(ConnectionResetError):
        hearing.look(consumer)
    assert not consumer.task_consumer.channel.qos.can_consume()


def test_what_is_worked_on_or_done_is_not_held_in_vain(consumer: Any) -> None:
    class Request:
        """Anything that can be referred to weakly."""

    hearing, at_work = Hearing(consumer), Request()
    reserved = cast("Any", state).reserved_requests
    fetch(consumer, "worked on")
    reserved.add(at_work)
    for number in range(5):
        fetch(consumer, f"{number}")
        hearing.look(consumer)
        consumer.task_consumer.channel.qos.ack(f"{number}")
        hearing.look(consumer)
        assert held(consumer) == 1
    reserved.discard(at_work)


def test_where_the_broker_counts_nothing_is_looked_at() -> None:
    hearing = Hearing(None)
    for channel in (SimpleNamespace(), SimpleNamespace(qos=SimpleNamespace(prefetch_count=0))):
        hearing.look(SimpleNamespace(task_consumer=SimpleNamespace(channel=channel)))
