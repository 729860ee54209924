import asyncio
from datetime import timedelta

import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from tests.webhooks.conftest import SECRETS, Door, door_of, event, kept
from webhooks.signature import sign

CANARY = "canary-7731"


def stamp(door: Door) -> int:
    return int(door.clock.now().timestamp())


async def test_a_genuine_event_is_kept_as_it_came_and_then_answered(door: Door, database: Database) -> None:
    answer = await door.send(event())
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    (row,) = await kept(database)
    assert (row.id, row.type, row.object_id) == ("evt_1", "checkout.session.completed", "cs_test_1")
    assert (row.body, row.state, row.tries, row.received_at) == (event(), "new", 0, door.clock.now())


@pytest.mark.parametrize("header", [None, b"", b"garbage", b"t=1,v0=00", b"v1=00"])
async def test_s01_without_a_signature_nothing_is_kept(door: Door, database: Database, header: bytes | None) -> None:
    answer = await (door.knock(event()) if header is None else door.knock(event(), header))
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_invalid")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await kept(database) == []


async def test_s02_odd_headers_are_refused(door: Door, database: Database) -> None:
    good = sign(event(), SECRETS[0], stamp(door))
    for header in (b"t=1,v1=\xff", b"t=1,v1=" + b"a" * 100_000, good.replace(b",v1", b",v1=00" * 100_000 + b",v1")):
        assert (await door.knock(event(), header)).status_code == 400
    assert (await door.knock(event(), good, good)).status_code == 400
    assert await kept(database) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        event()[:-1] + b',"id":"evt_2"}',
        event().replace(b"false", b"NaN"),
        event(id=7),
        event(id="../../etc"),
        event(id=""),
        event(type="x" * 500),
        event(data=None),
        event(data={"object": {"id": ["cs"]}}),
        event(object="v2.core.event"),
        event(id="evt_\u0000"),
        b'{"id":"evt_\\ud800"}',
    ],
)
async def test_s03_what_is_signed_but_cannot_be_read_is_kept_for_people_and_never_a_500(
    door: Door, database: Database, body: bytes
) -> None:
    for _ in range(2):
        assert (await door.send(body)).status_code == 200
    (row,) = await kept(database)
    assert (row.state, row.type, row.body) == ("parked", "unreadable", body)


async def test_s04_the_received_bytes_are_what_is_signed(door: Door, database: Database) -> None:
    header = sign(event(), SECRETS[0], stamp(door))
    for body in (event() + b" ", event().replace(b":", b": ", 1), event().replace(b"evt_1", b"evt_2")):
        assert (await door.knock(body, header)).status_code == 400
    assert await kept(database) == []


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_s05_a_signature_of_another_time_is_refused(door: Door, database: Database, seconds: int) -> None:
    assert (await door.knock(event(), sign(event(), SECRETS[0], stamp(door) + seconds))).status_code == 400
    assert await kept(database) == []


async def test_s06_the_same_event_again_changes_nothing(door: Door, database: Database) -> None:
    header = sign(event(), SECRETS[0], stamp(door))
    answers = await asyncio.gather(*(door.knock(event(), header) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    door.clock.move(door.clock.now() + timedelta(days=29))
    assert (await door.send(event(pending_webhooks=0))).status_code == 200
    (row,) = await kept(database)
    assert row.body == event()


async def test_s07_both_secrets_of_a_roll_are_taken_and_no_third(door: Door) -> None:
    assert [(await door.send(event(), secret)).status_code for secret in (*SECRETS, "whsec_gone")] == [200, 200, 400]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"livemode": True}, "livemode is True"),
        ({"account": "acct_other"}, "for another account"),
        ({"api_version": "2019-01-01"}, "API version 2019-01-01"),
        ({"api_version": None}, "API version None"),
    ],
)
async def test_s09_an_event_of_another_mode_account_or_version_is_parked(
    door: Door, database: Database, changes: dict[str, object], note: str
) -> None:
    assert (await door.send(event(**changes))).status_code == 200
    (row,) = await kept(database)
    assert (row.id, row.state, row.note) == ("evt_1", "parked", note)


async def test_s11_neither_answers_nor_logs_repeat_the_body(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    wrong = await door.knock(event(canary=CANARY), b"t=1,v1=00")
    parked = await door.send(event(canary=CANARY, livemode=True))
    unread = await door.send(CANARY.encode())
    assert CANARY not in wrong.text + parked.text + unread.text + caplog.text


async def test_a_body_of_more_than_a_megabyte_is_refused_before_it_is_read(door: Door, database: Database) -> None:
    body = event(filling="x" * 1_000_000)
    answer = await door.send(body)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert await kept(database) == []


async def test_i21_without_a_store_there_is_no_yes(clock: FixedClock) -> None:
    nowhere = Database("postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    async with door_of(nowhere, clock) as door:
        answer = await door.send(event())
    await nowhere.close()
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
