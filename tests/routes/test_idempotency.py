"""`Idempotency-Key` on every POST that changes something: one effect, one answer, byte for byte (I22)."""

import asyncio
import hashlib
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text

from billing.activation.tables import ActivationLinkRow
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.idempotency import KEPT, IdempotencyRow
from billing.kernel.settings import Settings
from billing.notices import service as notices
from billing.notices.kinds import TRIAL_ENDING
from tests.routes.house import Api, opened
from tests.routes.reading import problem

LINKS = "/v1/accounts/a1/activation-links"
BODY = {"pupils": ["p1"]}


def under(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


async def links(database: Database) -> int:
    async with database.begin() as session:
        return int(await session.scalar(select(func.count()).select_from(ActivationLinkRow)) or 0)


@pytest.fixture
async def family(api: Api) -> None:
    await api.family("a1", "p1", "p2")


async def test_without_a_key_every_post_takes_effect(api: Api, family: None, database: Database):
    first, second = [await api.ask("POST", LINKS, BODY) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert await links(database) == 2


async def test_the_same_key_and_body_give_the_same_answer_byte_for_byte(
    api: Api, family: None, database: Database, clock: FixedClock
):
    first = await api.ask("POST", LINKS, BODY, headers=under("k1"))
    clock.move(clock.now() + timedelta(hours=24))
    again = await api.ask("POST", LINKS, BODY, headers=under("k1"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await links(database) == 1


async def test_it_survives_a_restart_of_the_application(
    settings: Settings, database: Database, clock: FixedClock, api: Api, family: None
):
    first = await api.ask("POST", LINKS, BODY, headers=under("k1"))
    async with opened(settings, clock, {}) as restarted:
        restarted.keys = api.keys
        again = await restarted.ask("POST", LINKS, BODY, headers=under("k1"))
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert await links(database) == 1


async def test_another_body_or_address_under_the_same_key_is_422(api: Api, family: None, database: Database):
    await api.ask("POST", LINKS, BODY, headers=under("k1"))
    other = await api.ask("POST", LINKS, {"pupils": ["p2"]}, headers=under("k1"))
    problem(other, 422, "idempotency_key_reused")
    await api.family("a2", "p1")
    elsewhere = await api.ask("POST", "/v1/accounts/a2/activation-links", BODY, headers=under("k1"))
    problem(elsewhere, 422, "idempotency_key_reused")
    assert await links(database) == 1


async def test_a_key_is_its_callers_own(api: Api, family: None, database: Database, clock: FixedClock):
    """Two callers never see each other's answers, whatever keys they make up."""
    first = await api.ask("POST", LINKS, BODY, headers=under("k1"), scope="admin")
    second = await api.ask("POST", LINKS, BODY, headers=under("k1"), scope="commerce:write")
    assert (second.status_code, "idempotent-replayed" in second.headers) == (201, False)
    assert second.json()["id"] != first.json()["id"]


async def test_while_the_first_is_running_the_second_is_409(api: Api, family: None, database: Database):
    """The first is held up by a lock on what it needs; the second does not wait for it."""
    async with database.engine.connect() as other:
        await other.execute(text("LOCK TABLE activation_link IN ACCESS EXCLUSIVE MODE"))
        first = asyncio.create_task(api.ask("POST", LINKS, BODY, headers=under("k1")))
        while True:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'activation_link'::regclass")
            if await other.scalar(waiting):
                break
            await asyncio.sleep(0.01)
        second = await api.ask("POST", LINKS, BODY, headers=under("k1"))
        problem(second, 409, "idempotency_in_progress")
        await other.rollback()
        assert (await first).status_code == 201
    assert await links(database) == 1
    again = await api.ask("POST", LINKS, BODY, headers=under("k1"))
    assert again.content == first.result().content


async def test_many_at_once_make_one(api: Api, family: None, database: Database):
    answers = await asyncio.gather(*(api.ask("POST", LINKS, BODY, headers=under("k1")) for _ in range(15)))
    good = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in good}) == 1
    assert len([answer for answer in good if "idempotent-replayed" not in answer.headers]) == 1
    assert await links(database) == 1


async def test_a_refusal_is_not_kept_so_the_key_may_be_used_again(api: Api, family: None, database: Database):
    refused = await api.ask("POST", LINKS, {"pupils": ["p3"]}, headers=under("k1"))
    problem(refused, 422, "not_linked")
    await api.family("a1", "p3")
    made = await api.ask("POST", LINKS, {"pupils": ["p3"]}, headers=under("k1"))
    assert (made.status_code, await links(database)) == (201, 1)


async def test_a_key_is_forgotten_after_48_hours_and_not_before(
    api: Api, family: None, database: Database, clock: FixedClock
):
    first = await api.ask("POST", LINKS, BODY, headers=under("k1"))
    (work,) = (work for work in api.services.works if work.name == "idempotency.forget")
    async with database.begin() as session:
        assert await work.next_due(session) == clock.now() + KEPT
    assert await work.run(clock.now() + KEPT - timedelta(seconds=1)) == 0
    clock.move(clock.now() + KEPT)
    second = await api.ask("POST", LINKS, BODY, headers=under("k1"))
    assert (second.status_code, second.json()["id"] != first.json()["id"]) == (201, True)


@pytest.mark.parametrize("key", ["", "k" * 256, "a\x01b"])
async def test_a_key_that_is_none_is_named(api: Api, family: None, database: Database, key: str):
    answer = await api.ask("POST", LINKS, BODY, headers=under(key))
    assert problem(answer, 400, "malformed_request") == [("Idempotency-Key", "invalid")]
    assert await links(database) == 0


async def test_a_notice_shown_in_the_app_is_handed_over_once_and_replayed(
    api: Api, family: None, database: Database, clock: FixedClock
):
    at = clock.now()
    async with database.begin() as session:
        day = date(2026, 10, 1)
        await notices.plan_letter(session, "a1", TRIAL_ENDING, str(day), at, day=day, pupils=["p1"])
    (notice,) = (await api.told("GET", "/v1/accounts/a1/notices"))["data"]
    path = f"/v1/notices/{notice['id']}/shown"
    first = await api.ask("POST", path, headers=under("seen"))
    clock.move(at + timedelta(hours=1))
    again, fresh = await api.ask("POST", path, headers=under("seen")), await api.ask("POST", path)
    assert (first.status_code, first.json()["state"]) == (200, "handed_over")
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert fresh.json() == first.json(), "saying it again changes nothing (R29)"


async def test_the_answer_is_stored_with_its_effect_and_names_no_secret_of_the_caller(
    api: Api, family: None, database: Database
):
    await api.ask("POST", LINKS, BODY, headers=under("k1"))
    async with database.begin() as session:
        (row,) = await session.scalars(select(IdempotencyRow))
    assert row.caller == api.key_ids["admin"]
    assert row.request_hash == hashlib.sha256(b"POST\0" + LINKS.encode() + b'\0{"pupils":["p1"]}').digest()
