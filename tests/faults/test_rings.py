"""What reaches a worker is a ring and nothing more, and whether it works is told by what waits."""

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from kombu.connection import Connection
from kombu.messaging import Producer

from tests.faults.harm import pids_of, setting, workers_work
from tests.hand import Hand
from tests.living import Sandbox
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

QUEUES = ("webhooks", "provider", "notices", "bulk")
PICKLE, YAML = "application/x-python-serialize", "application/x-yaml"


def task(name: str, *args: object) -> dict[str, Any]:
    """A message as Celery sends it."""
    key = os.urandom(16).hex()
    headers = {"lang": "py", "task": name, "id": key, "root_id": key, "retries": 0}
    body = msgspec.json.encode([args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return {"body": body, "headers": headers, "content_type": "application/json", "content_encoding": "utf-8"}


def forged(mark: Path) -> list[dict[str, Any]]:
    """Whatever somebody with the broker's password may send; those that can run a program leave a mark."""
    run = f"cos\nsystem\n(S'touch {mark}'\ntR."
    return [
        task("work.run", "letters.send") | {"body": run.encode(), "content_type": PICKLE, "content_encoding": "binary"},
        task("work.run") | {"body": f"!!python/object/apply:os.system ['touch {mark}']", "content_type": YAML},
        task("work.run") | {"body": b"\xff\xfe{"},
        task("work.run", "entitlements.grant"),
        task("work.run", {"account": "x", "until": "2099-01-01T00:00:00Z"}),
        task("work.run", ["letters.send"]),
        task("work.run", "letters.send", "and", "more"),
        task("entitlements.service.grant", "x"),
        {"body": b"{}", "content_type": "application/json", "content_encoding": "utf-8"},
    ]


def test_s71_s72_f24_forged_and_doubled_messages_can_at_most_ring(hand: Hand, sandbox: Sandbox, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    mark, main = tmp_path / "was-here", pids_of(sandbox, "worker")
    rings = [task("work.run", "letters.send"), task("work.run", "outbox.relay")] * 50
    with Connection(setting(sandbox, "BILLING_BROKER_URL")) as broker, broker.channel() as channel:
        producer = Producer(channel)
        for queue in QUEUES:
            for message in [*forged(mark), *rings]:
                producer.publish(**message, routing_key=queue, exchange="", retry=False)
    with redis.Redis.from_url(setting(sandbox, "BILLING_BROKER_URL")) as held:
        until(lambda: not any(held.llen(queue) for queue in QUEUES), "messages lie there")
    workers_work(hand)
    assert pids_of(sandbox, "worker") == main
    assert not mark.exists()


def test_f11_workers_that_live_and_do_nothing_are_told_of_by_what_waits(hand: Hand, sandbox: Sandbox) -> None:
    hand.drain()
    until(lambda: not waiting(hand), "there is always something to do", 90)
    workers = [*pids_of(sandbox, "worker"), *pids_of(sandbox, "child")]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        hand.register("zamrozone", email_confirmed=False)
        until(lambda: max(waiting(hand).values(), default=0) > 2, "nobody is told", 90)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    until(lambda: not waiting(hand), "they do not go on", 90)


def test_f09_beat_keeps_nothing_that_could_be_lost(sandbox: Sandbox) -> None:
    (beat,) = sandbox.processes("-m billing beat")
    names = [path for path in sandbox.folder.rglob("*") if "celerybeat" in path.name]
    held = [str(path.readlink()) for path in Path(f"/proc/{beat}/fd").iterdir()]
    assert names == []
    assert [path for path in held if "schedule" in path] == []


def waiting(hand: Hand) -> dict[str, float]:
    """Seconds that the oldest due piece of each kind of work has waited."""
    return hand.open("/readyz").json()["oldest_due"]
