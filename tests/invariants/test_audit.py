"""The oracle itself: silent on a healthy house, and every query speaks when its breach is planted (I01–I30)."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.invariants import service
from billing.invariants.queries import QUERIES
from billing.invariants.rules import NOT_ASKED, named
from billing.kernel.ids import new_id, public
from tests.invariants.breaches import BREACHES
from tests.services.healthy import healthy
from tests.services.house import House

UNGUARDED = "set local session_replication_role = replica"


async def spoken(session: AsyncSession, house: House) -> set[str]:
    settled = house.now + timedelta(seconds=1)
    return {finding.title for finding in service.broken(await service.ask(session, house.now, settled=settled))}


async def test_every_query_speaks_when_its_breach_is_planted_and_none_before(house: House) -> None:
    await healthy(house)
    async with house.database.begin() as session:
        assert await spoken(session, house) == set()
    deaf: list[str] = []
    for title, statements in BREACHES:
        async with house.database.engine.connect() as link:
            session = AsyncSession(bind=link)
            for statement in (UNGUARDED, *statements):
                await link.exec_driver_sql(statement)
            if title not in await spoken(session, house):
                deaf.append(title)
            await link.rollback()
    assert deaf == []
    assert {title for title, _ in BREACHES} == {query.title for query in QUERIES}
    async with house.database.begin() as session:
        assert await spoken(session, house) == set(), "nothing of it was kept"


def test_every_promise_is_asked_or_is_said_not_to_be_askable() -> None:
    asked = {query.number for query in QUERIES}
    assert asked & set(NOT_ASKED) == set()
    assert asked | set(NOT_ASKED) == {f"I{number:02}" for number in range(1, 31)}
    assert len({query.title for query in QUERIES}) == len(QUERIES)


@pytest.mark.parametrize("prefix", ["ord", "trl"])
async def test_the_names_that_sql_makes_are_those_of_the_house(house: House, prefix: str) -> None:
    keys = [new_id(house.now) for _ in range(50)]
    made = "unnest(cast(:keys as uuid[])) with ordinality as made (id, place)"
    query = f"select {named(prefix, 'id')} from {made} order by made.place"
    assert [row[0] for row in await house.rows(query, keys=keys)] == [public(prefix, key) for key in keys]


async def test_asking_writes_nothing_and_the_night_writes_one_line(house: House) -> None:
    await house.family("anna", "p1")
    (work,) = [each for each in house.works if each.name == "invariants.ask"]
    async with house.database.begin() as session:
        await session.execute(text("set transaction read only"))
        await service.ask(session, house.now)
    await house.advance(house.now + timedelta(days=3))
    nights = [
        tuple(row) for row in await house.rows("select after from audit where subject = 'invariants' order by at")
    ]
    assert nights == [("silent",)] * 3, "I23: one a night, at four"
    assert await work.run(house.now) == 0, "not due"
    await house.rows_changed("update outbox set state = 'parked'")
    await house.advance(house.now + timedelta(days=1))
    async with house.database.begin() as session:
        assert await service.last_answer(session) == 1


async def test_what_just_happened_may_still_be_on_its_way(house: House) -> None:
    await house.family("anna", "p1")
    await house.rows_changed("update outbox set state = 'new', due_at = :at", at=house.now)
    async with house.database.begin() as session:
        assert service.broken(await service.ask(session, house.now + timedelta(minutes=14))) == ()
        (found,) = service.broken(await service.ask(session, house.now + timedelta(minutes=16)))
    assert (found.number, found.title) == ("I22", "an effect that was not performed")
    assert msgspec.json.encode(found)
