"""A file does what PUT of each of its lines would have done: same rows, same notes, same letters to be written."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.trials import service as trials
from billing.trials.lines import Line
from entitlements import service as desk
from tests.importing.world import put_by_import, put_by_routes, standing

ACCOUNTS, PUPILS, SCHOOLS = ("a1", "a2", "A-3"), ("p1", "p2", "P:3"), (None, "sp1", "sp2")
ADDRESSES = ("anna@example.pl", "jan@example.pl", "ola@firma.com.pl")


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A line that can be taken, about few enough people that lines meet."""
    band = draw(st.sampled_from(("adult", "13_17", "under_13")))
    guardians = ADDRESSES if band == "under_13" else (None, *ADDRESSES)
    pupil = draw(st.sampled_from((None, *PUPILS)))
    return Line(
        account=draw(st.sampled_from(ACCOUNTS)),
        email=draw(st.sampled_from(ADDRESSES)),
        kind=draw(st.sampled_from(("guardian", "pupil"))),
        age_band=band,
        locale=draw(st.sampled_from(("pl", "uk"))),
        guardian_email=draw(st.sampled_from(guardians)),
        email_confirmed=draw(st.booleans()),
        pupil=pupil,
        school=draw(st.sampled_from(SCHOOLS)) if pupil else None,
    )


TURNS = st.sampled_from(("nothing", "mail came back", "unlinked", "next season"))


async def turn(session: AsyncSession, what: str, at: datetime) -> None:
    """Something that happens between the lines that were there before and those that arrive."""
    if what == "mail came back":
        await session.execute(text("update account set bounced_at = :at").bindparams(at=at))
        session.expire_all()
    elif what == "unlinked":
        for pupil in PUPILS:
            for account in await desk.accounts_of(session, pupil):
                await desk.drop_link(session, account, pupil)
            await trials.unlinked(session, pupil)
    await session.flush()


async def after(database: Database, do: Callable[[AsyncSession], Awaitable[Any]]) -> dict[str, list[Any]]:
    """How things would stand after `do`."""
    async with database.begin() as session:
        taken_back = await session.begin_nested()
        await do(session)
        session.expire_all()
        found = await standing(session)
        await taken_back.rollback()
        return found


PERSON = Line(account="a1", email=ADDRESSES[0], kind="guardian", age_band="adult", pupil="p1", school="sp1")


@settings(
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=st.lists(lines(), max_size=4), what=TURNS, given_lines=st.lists(lines(), min_size=1, max_size=8))
@example(before=[], what="nothing", given_lines=[PERSON, PERSON])
@example(before=[PERSON], what="unlinked", given_lines=[PERSON])
@example(before=[PERSON], what="mail came back", given_lines=[PERSON])
async def test_r18_r90_lines_of_a_file_do_what_put_of_each_would_do(
    database: Database, at: datetime, before: list[Line], what: str, given_lines: list[Line]
) -> None:
    later = at + timedelta(days=400 if what == "next season" else 1)

    async def by_routes(session: AsyncSession) -> None:
        for line in before:
            await put_by_routes(session, line, at)
        await turn(session, what, at)
        for line in given_lines:
            await put_by_routes(session, line, later)

    async def by_import(session: AsyncSession) -> None:
        for line in before:
            await put_by_routes(session, line, at)
        await turn(session, what, at)
        await put_by_import(session, given_lines, later)

    routed, imported = await after(database, by_routes), await after(database, by_import)
    for name, rows in routed.items():
        assert imported[name] == rows, name
    assert routed["accounts"]


async def test_what_is_there_already_is_left_alone(database: Database, at: datetime) -> None:
    found = [PERSON, Line(account="a2", email=ADDRESSES[1], kind="pupil", age_band="13_17", email_confirmed=True)]
    async with database.begin() as session:
        first = await put_by_import(session, found, at)
    async with database.begin() as session:
        stood = await standing(session)
        again = await put_by_import(session, found, at + timedelta(hours=1))
    async with database.begin() as session:
        assert await standing(session) == stood
    assert (first.accounts_added, first.links_added, first.trials_begun) == (2, 1, 1)
    assert (again.accounts_added, again.accounts_changed, again.links_added, again.trials_begun) == (0, 0, 0, 0)
