"""Deliveries: signed as the standard says, thin, committed with their cause, gone when they should be."""

import contextlib
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from billing.kernel import outbox
from billing.kernel.days import iso
from billing.kernel.errors import NotFound
from tests.outgoing.receiver import Receiver
from tests.outgoing.yard import SECRET, Yard, data_of
from webhooks import outgoing_service as service
from webhooks.outgoing_rules import KEPT, OLD_SECRET
from webhooks.outgoing_tasks import FORGET


async def test_a_delivery_is_what_the_standards_own_library_takes_s18(yard: Yard, receiver: Receiver) -> None:
    _, secret = await yard.endpoint(receiver)
    await yard.happens("trial.started", trial="trl_1", pupil="p1", email="anna@example.pl")
    assert await yard.run() == 1
    (got,) = receiver.got
    assert got.line == "POST /hook HTTP/1.1"
    assert got.headers["content-type"] == "application/json"
    told = Webhook(secret).verify(got.body, got.headers)
    assert told == {
        "id": got.headers["webhook-id"],
        "type": "trial.started",
        "timestamp": iso(yard.clock.now()),
        "data": {"trial": "trl_1", "pupil": "p1"},
    }
    assert got.headers["webhook-id"].startswith("evt_")
    assert await yard.states() == ["delivered"]
    assert await yard.run() == 0


async def test_an_endpoint_is_told_of_what_it_asked_for_from_then_on(yard: Yard, receiver: Receiver) -> None:
    await yard.happens("order.paid", order="ord_0")
    await yard.endpoint(receiver, "order.paid", "refund.succeeded")
    await yard.happens("order.paid", order="ord_1", account="a1", pupils=["p1"])
    await yard.happens("trial.started")
    await yard.happens("refund.succeeded", refund="ref_1", order="ord_1", amount=4499)
    await yard.run()
    assert sorted(data_of(receiver), key=len) == [
        {"refund": "ref_1", "order": "ord_1"},
        {"order": "ord_1", "account": "a1", "pupils": ["p1"]},
    ]


async def test_what_is_rolled_back_is_never_told_i22(yard: Yard, receiver: Receiver) -> None:
    await yard.endpoint(receiver)
    with contextlib.suppress(ZeroDivisionError):
        async with yard.database.begin() as session:
            outbox.put(session, "trial.started", yard.clock.now(), trial="trl_1", pupil="p1")
            await session.flush()
            raise ZeroDivisionError
    assert await yard.run(outbox.RELAY) == 0
    assert await yard.run() == 0
    assert receiver.got == []


async def rotated(yard: Yard, receiver: Receiver) -> tuple[str, str, str]:
    """An endpoint in the last moment of its old secret; with the old one and the new."""
    endpoint, old = await yard.endpoint(receiver)
    async with yard.database.begin() as session:
        _, new = await service.rotate(session, endpoint, yard.clock.now(), secret=SECRET)
    yard.clock.move(yard.clock.now() + OLD_SECRET - timedelta(microseconds=1))
    return endpoint, old, new


async def test_a_rotated_secret_signs_for_a_day_beside_the_new_one_s18(yard: Yard, receiver: Receiver) -> None:
    endpoint, old, new = await rotated(yard, receiver)
    await yard.happens("trial.started")
    yard.clock.move(yard.clock.now() + timedelta(microseconds=1))
    await yard.run()
    await yard.happens("trial.ended")
    await yard.run(FORGET)
    await yard.run()
    late, later = receiver.got
    assert len(later.headers["webhook-signature"].split()) == 1
    assert Webhook(new).verify(later.body, later.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(later.body, later.headers)
    assert (await yard.only(endpoint)).old_secret is None
    assert late.headers["webhook-signature"].count("v1,") == 1


async def test_during_the_day_of_a_rotation_both_secrets_verify(yard: Yard, receiver: Receiver) -> None:
    _, old, new = await rotated(yard, receiver)
    await yard.happens("trial.started")
    await yard.run()
    (got,) = receiver.got
    assert got.headers["webhook-signature"].count("v1,") == 2
    assert Webhook(old).verify(got.body, got.headers) == Webhook(new).verify(got.body, got.headers)


async def test_the_secret_is_kept_so_that_only_the_service_reads_it(yard: Yard, receiver: Receiver) -> None:
    endpoint, secret = await yard.endpoint(receiver)
    kept = (await yard.only(endpoint)).secret
    assert secret.encode() not in kept
    found = (await yard.say("select webhook_endpoint::text from webhook_endpoint")).scalar_one()
    assert secret.removeprefix("whsec_") not in found
    await yard.happens("trial.started")
    await yard.say("update webhook_endpoint set secret = secret || 'x'::bytea")
    await yard.run()
    assert [row.fault for row in await yard.rows()] == ["secret_unreadable"]
    assert receiver.got == []


async def test_an_erased_account_is_told_of_and_then_forgotten_r88(yard: Yard, receiver: Receiver) -> None:
    await yard.endpoint(receiver)
    await yard.happens("order.failed", order="ord_1", account="a1")
    await yard.happens("order.paid", order="ord_2", account="a2", pupils=[])
    await yard.happens("account.erased", account="a1")
    await yard.run()
    assert sorted(data_of(receiver), key=len) == [
        {"account": "a1"},
        {"order": "ord_2", "account": "a2", "pupils": []},
    ]
    assert len(await yard.rows()) == 2
    yard.clock.move(yard.clock.now() + KEPT)
    assert await yard.run(FORGET) == 2
    assert await yard.rows() == []


async def test_deleting_an_endpoint_takes_its_secret_and_its_deliveries(yard: Yard, receiver: Receiver) -> None:
    endpoint, _ = await yard.endpoint(receiver)
    await yard.happens("trial.started")
    async with yard.database.begin() as session:
        await service.remove(session, endpoint, yard.clock.now())
    assert await yard.rows() == []
    assert await yard.run() == 0
    with pytest.raises(NotFound):
        await yard.only(endpoint)
