"""Telling a crowd comes to the same as telling one after the other (R21, R24, R25, R26, R29, R30)."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import at_hour, day_of
from billing.kernel.db import Database
from billing.notices import service as notices
from billing.notices.planning import plan_trial_endings
from billing.trials import untold
from billing.trials.lines import Line
from billing.trials.untold import Waiting
from entitlements import service as desk
from tests.importing.world import TERMS, put_by_import, put_by_routes

POLICY = TERMS.catalogue.trial
ACCOUNTS, PUPILS = ("a1", "a2", "a3"), ("p1", "p2", "p3")
ADD_ONS = TERMS.catalogue.add_ons

Letter = Literal["none", "planned", "handed_over", "dropped", "bounced", "sending"]


class World(msgspec.Struct, frozen=True):
    """Who is linked to whom since which day, who is confirmed or out of reach, what is paid and what is written."""

    links: tuple[tuple[str, str, int], ...]
    unconfirmed: frozenset[str] = frozenset()
    bounced: frozenset[str] = frozenset()
    paid: tuple[tuple[str, int], ...] = ()
    letters: tuple[tuple[str, tuple[str, ...], Letter], ...] = ()
    looks: int = 0


@st.composite
def worlds(draw: st.DrawFn) -> World:
    links = draw(st.lists(st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(PUPILS), st.integers(0, 2)), max_size=6))
    some = st.frozensets(st.sampled_from(ACCOUNTS), max_size=1)
    paid = st.tuples(st.sampled_from(PUPILS), st.sampled_from((-1, 1, 300)))
    pupils = st.lists(st.sampled_from(PUPILS), max_size=2, unique=True).map(tuple)
    states: st.SearchStrategy[Letter] = st.sampled_from(("planned", "handed_over", "dropped", "bounced", "sending"))
    letters = st.lists(st.tuples(st.sampled_from(ACCOUNTS), pupils, states), max_size=2, unique_by=lambda one: one[0])
    return World(
        tuple(links), draw(some), draw(some), tuple(draw(st.lists(paid, max_size=1))), tuple(draw(letters)),
        draw(st.integers(0, 2)),
    )  # fmt: skip


async def build(session: AsyncSession, world: World, at: datetime) -> datetime:
    """Let the world be; answers an instant at which some of its trials are to be told of."""
    for account, pupil, day in sorted(world.links, key=lambda link: link[2]):
        is_confirmed = account not in world.unconfirmed
        line = Line(account=account, email=f"{account}@example.pl", kind="guardian", age_band="adult",
                    email_confirmed=is_confirmed, pupil=pupil)  # fmt: skip
        await put_by_routes(session, line, at + timedelta(days=day))
    day = (await session.scalar(text("select min(reverts_on) from trial"))) or at.date()
    now = at_hour(day - timedelta(days=POLICY.notice_days + POLICY.lead_days - world.looks), 9)
    for account in world.bounced:
        await session.execute(text("update account set bounced_at = :at where account = :account").bindparams(
            at=now, account=account))  # fmt: skip
    for pupil, days in world.paid:
        since, until = now - timedelta(days=50), now + timedelta(days=days)
        await desk.add_grant(
            session, pupil=pupil, source="paid", origin="sub_1", features=ADD_ONS, at=at, since=since, until=until
        )
    for account, pupils, state in world.letters:
        await notices.plan_letter(session, account, "trial_ending", f"{day}", now, day=day, pupils=pupils)
        statement = """update letter set state = :state, sending_since = :sending, handed_over_at = :told
            where account = :account"""
        told = {"state": "planned" if state == "sending" else state, "sending": now if state == "sending" else None,
                "told": now if state == "handed_over" else None, "account": account}  # fmt: skip
        await session.execute(text(statement), told)
    await session.flush()
    session.expire_all()
    return now


async def one_by_one(session: AsyncSession, at: datetime) -> int:
    """Trial after trial, as `tell_of_trial` says of each."""
    due = (await session.execute(untold.due(at, 1))).all()
    for trial in due:
        await notices.tell_of_trial(session, Waiting(*trial), POLICY, at)
    await session.flush()
    return len(due)


async def crowd(session: AsyncSession, at: datetime) -> int:
    done = await plan_trial_endings(session, POLICY, at)
    await session.flush()
    session.expire_all()
    return done


async def told(session: AsyncSession) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that telling may touch, without the ids."""
    asked = {
        "letters": """select account, kind, about, day, pupils, facts, state, due_at, is_paced, tries, sending_since,
            doubts, created_at, handed_over_at, fault, server_answer, attachments from letter""",
        "trials": """select pupil, reverts_on, bound_at, bound_reason, converted_at, prolongations, u.tell_from
            from trial left join trial_to_tell u on u.trial = trial.id""",
        "links": "select * from entitlement_link",
        "grants": "select pupil, source, since, until, bound, end_reason from entitlement_grant",
        "accounts": "select account, bounced_at from account",
        "audit": "select action, account, before, after, reason from audit where action not like 'letter.bounced'",
    }
    await session.flush()
    return {name: sorted(map(tuple, await session.execute(text(query))), key=repr) for name, query in asked.items()}


PLAIN = World(links=(("a1", "p1", 0), ("a1", "p2", 0), ("a2", "p2", 0)))


@settings(
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(world=worlds())
@example(world=PLAIN)
@example(world=msgspec.structs.replace(PLAIN, bounced=frozenset({"a1"})))
@example(world=msgspec.structs.replace(PLAIN, unconfirmed=frozenset({"a1"})))
@example(world=msgspec.structs.replace(PLAIN, paid=(("p2", 300),)))
@example(world=msgspec.structs.replace(PLAIN, letters=(("a2", ("p3",), "handed_over"),)))
async def test_a_crowd_is_told_as_each_of_it_would_be(database: Database, at: datetime, world: World) -> None:
    found: list[dict[str, list[tuple[Any, ...]]]] = []
    for tell in (one_by_one, crowd):
        async with database.begin() as session:
            taken_back = await session.begin_nested()
            now = await build(session, world, at)
            for _ in range(12):
                if not await tell(session, now):
                    break
            found.append(await told(session))
            await taken_back.rollback()
    for name, rows in found[0].items():
        assert found[1][name] == rows, name


async def test_r24_r30_a_crowd_is_told_by_a_few_statements_one_letter_for_each_account(
    database: Database, at: datetime
) -> None:
    """Three hundred families with two children: as many letters as families, and no statement for each."""
    lines = [
        Line(account=f"a{n}", email=f"a{n}@example.pl", kind="guardian", age_band="adult", email_confirmed=True,
             pupil=f"p{n}-{child}")
        for n in range(300)
        for child in range(2)
    ]  # fmt: skip
    async with database.begin() as session:
        await put_by_import(session, lines, at)
    statements: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    async with database.begin() as session:
        now = await session.scalar(text("select min(tell_from) from trial"))
        assert now is not None
        assert await plan_trial_endings(session, POLICY, now) == 600
    assert len(statements) <= 10, statements
    async with database.begin() as session:
        letters = (await session.execute(text("select account, pupils from letter"))).all()
        assert sorted(letters) == sorted((f"a{n}", [f"p{n}-0", f"p{n}-1"]) for n in range(300))
        assert await plan_trial_endings(session, POLICY, now) == 0


def families(number: int) -> list[Line]:
    """So many accounts, each with one pupil."""
    return [
        Line(account=f"a{n}", email=f"a{n}@example.pl", kind="guardian", age_band="adult", email_confirmed=True,
             pupil=f"p{n}")
        for n in range(number)
    ]  # fmt: skip


async def is_waiting(database: Database) -> bool:
    """Whether somebody waits for a lock."""
    async with database.begin() as session:
        waiting = "from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        return bool(await session.scalar(text(f"select count(*) {waiting}")))


async def test_i18_a_trial_of_which_somebody_else_begins_a_letter_meanwhile_stays_due(
    database: Database, at: datetime
) -> None:
    async with database.begin() as session:
        await put_by_import(session, families(3), at)
        now, day = (await session.execute(text("select min(tell_from), min(reverts_on) from trial"))).one()

    async def tell() -> int:
        async with database.begin() as session:
            return await plan_trial_endings(session, POLICY, now)

    async with database.begin() as other:
        await notices.plan_letter(other, "a1", "trial_ending", f"{day}", now, day=day, pupils=("p9",))
        telling = asyncio.create_task(tell())
        for _ in range(1000):
            if await is_waiting(database):
                break
            await asyncio.sleep(0.01)
    assert await telling == 2
    assert await tell() == 1, "it is found to have a letter now, and told of by the rules"
    async with database.begin() as session:
        letters = (await session.execute(text("select account, pupils from letter order by account"))).all()
    assert [tuple(row) for row in letters] == [("a0", ["p0"]), ("a1", ["p1", "p9"]), ("a2", ["p2"])]


async def test_letters_of_a_crowd_are_rung_for_where_they_may_go_at_once(database_url: str, at: datetime) -> None:
    class Bell:
        def __init__(self) -> None:
            self.rung: set[str] = set()

        def ring(self, names: Iterable[str]) -> None:
            self.rung |= set(names)

    bell = Bell()
    database = Database(database_url, doorbell=bell)
    async with database.begin() as session:
        await put_by_import(session, families(2), at)
        first = (await session.execute(text("select min(tell_from) from trial"))).scalar_one()
    for hour, rings in ((23, False), (9, True)):
        async with database.begin() as session:
            await session.execute(text("delete from letter"))
            untold = "insert into trial_to_tell select id, tell_from from trial on conflict do nothing"
            await session.execute(text(untold))
        bell.rung.clear()
        async with database.begin() as session:
            assert await plan_trial_endings(session, POLICY, at_hour(day_of(first), hour)) == 2
        assert (notices.SEND in bell.rung) == rings
    bell.rung.clear()
    async with database.begin() as session:
        assert await plan_trial_endings(session, POLICY, at_hour(day_of(first), 9)) == 0
    assert notices.SEND not in bell.rung
    await database.close()
