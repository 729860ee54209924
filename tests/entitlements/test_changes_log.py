"""Whatever changes an answer leaves a row in the change log, in the same transaction; nothing else does."""

import ast
import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from entitlements import service
from entitlements.changes import NUMBER, TOPIC, Whom
from tests.entitlements.following import DAY, give, log_of, until_somebody_waits

Act = Callable[[AsyncSession, datetime], Awaitable[Any]]
Logged = list[tuple[str, Whom]]

A1, A1P1, P1, P2, SP5 = Whom("a1"), Whom("a1", "p1"), Whom(pupil="p1"), Whom(pupil="p2"), Whom(school="sp5")


async def blocks(session: AsyncSession, at: datetime, *features: str) -> None:
    await service.put_school_blocks(session, "sp5", features, at)


STORY: list[tuple[str, Act, Logged]] = [
    ("put_account", lambda s, at: service.put_account(s, "a1"), [("account_added", A1)]),
    ("put_account", lambda s, at: service.put_account(s, "a1"), []),
    ("put_link", lambda s, at: service.put_link(s, "a1", "p1", "sp4", at), [("linked", A1P1)]),
    ("put_link", lambda s, at: service.put_link(s, "a1", "p1", None, at), []),
    ("put_link", lambda s, at: service.put_link(s, "a1", "p1", "sp4", at), []),
    ("put_link", lambda s, at: service.put_link(s, "a1", "p1", "sp5", at), [("school_changed", P1)]),
    ("add_grant", lambda s, at: give(s, at, "p1", source="trial", bound=False), [("trial_started", P1)]),
    ("bind", lambda s, at: service.bind(s, "trial"), [("trial_bound", P1)]),
    ("bind", lambda s, at: service.bind(s, "trial"), []),
    ("move_end", lambda s, at: service.move_end(s, "trial", at + DAY, bound=True), [("trial_moved", P1)]),
    ("move_end", lambda s, at: service.move_end(s, "trial", at + DAY, bound=True), []),
    ("add_grant", lambda s, at: give(s, at, "p1"), [("pass_started", P1)]),
    ("add_grant", lambda s, at: give(s, at, "p2", since=at + DAY), [("right_planned", P2)]),
    ("add_grant", lambda s, at: give(s, at, "p2", source="sponsored"), [("right_started", P2)]),
    ("add_grant", lambda s, at: give(s, at, "p2", source="grace", origin="paid"), [("grace_started", P2)]),
    (
        "set_span",
        lambda s, at: service.set_span(s, "paid", "paid", at + 2 * DAY, at - DAY, at + 3 * DAY),
        [("pass_moved", P1), ("pass_moved", P2)],
    ),
    (
        "set_span",
        lambda s, at: service.set_span(s, "paid", "paid", at + 3 * DAY, at - DAY, at + 3 * DAY),
        [],
    ),
    (
        "set_notice_pending",
        lambda s, at: service.set_notice_pending(s, "a1", ["p1"], pending=True),
        [("notice_changed", A1P1)],
    ),
    ("set_notice_pending", lambda s, at: service.set_notice_pending(s, "a1", ["p1"], pending=True), []),
    ("cancel_notices", lambda s, at: service.cancel_notices(s, "p1"), [("notice_changed", A1P1)]),
    ("cancel_notices", lambda s, at: service.cancel_notices(s, "p1"), []),
    ("put_school_blocks", lambda s, at: blocks(s, at, "messages", "homework"), [("blocked", SP5)]),
    ("put_school_blocks", lambda s, at: blocks(s, at, "messages", "homework"), []),
    ("put_school_blocks", lambda s, at: blocks(s, at, "homework", "desk"), [("unblocked", SP5), ("blocked", SP5)]),
    ("put_school_blocks", blocks, [("unblocked", SP5)]),
    (
        "end_grants",
        lambda s, at: service.end_grants(s, "paid", at, "refunded", pupil="p1"),
        [("refunded", P1)],
    ),
    ("end_grants", lambda s, at: service.end_grants(s, "paid", at, "refunded", pupil="p1"), []),
    ("end_grants", lambda s, at: service.end_grants(s, "sponsored", at, None), [("right_ended", P2)]),
    ("remove_grants", lambda s, at: service.remove_grants(s, "trial"), [("right_removed", P1)]),
    ("remove_grants", lambda s, at: service.remove_grants(s, "trial"), []),
    ("drop_link", lambda s, at: service.drop_link(s, "a1", "p1"), [("unlinked", A1P1)]),
    ("drop_link", lambda s, at: service.drop_link(s, "a1", "p1"), []),
    ("put_link", lambda s, at: service.put_link(s, "a1", "p3", None, at), [("linked", Whom("a1", "p3"))]),
    (
        "drop_link",
        lambda s, at: service.drop_link(s, "a1", "p3"),
        [("unlinked", Whom("a1", "p3")), ("pupil_forgotten", Whom(pupil="p3"))],
    ),
    ("remove_account", lambda s, at: service.remove_account(s, "a1"), [("account_removed", A1)]),
    ("remove_account", lambda s, at: service.remove_account(s, "a1"), []),
]
"""One after the other: what is done, and what the log then holds more."""


async def test_every_write_that_changes_an_answer_leaves_its_row_and_no_other_does(
    database: Database, at: datetime
) -> None:
    before = 0
    for name, act, expected in STORY:
        async with database.begin() as session:
            await act(session, at)
        log = await log_of(database)
        assert sorted(log[before:], key=str) == sorted(expected, key=str), name
        before = len(log)


async def _give_up(database: Database, act: Act, at: datetime) -> None:
    async with database.begin() as session:
        await act(session, at)
        raise ZeroDivisionError


async def test_what_is_rolled_back_was_never_said(database: Database, at: datetime) -> None:
    heard: list[frozenset[Whom]] = []
    database.when_committed(TOPIC, heard.append)
    for _name, act, expected in STORY:
        before = await log_of(database)
        with pytest.raises(ZeroDivisionError):
            await _give_up(database, act, at)
        assert await log_of(database) == before
        assert heard == []
        async with database.begin() as session:
            await act(session, at)
        assert heard == ([frozenset(whom for _, whom in expected)] if expected else [])
        heard.clear()


async def test_a_write_that_changed_something_rings_for_numbering_once_it_has_committed(
    database: Database, at: datetime
) -> None:
    rings: list[str] = []

    class Bell:
        def ring(self, names: Any) -> None:
            rings.extend(names)

    database.doorbell = Bell()
    for _ in range(2):
        async with database.begin() as session:
            await service.put_account(session, "a1")
            assert rings.count(NUMBER) <= 1
    assert rings == [NUMBER]


async def test_a_school_that_two_links_change_at_once_is_told_by_whoever_came_last(
    database: Database, at: datetime
) -> None:
    """Compared with what the row holds when its lock is won, not with what the statement saw when it began."""

    async def put(school: str) -> None:
        async with database.begin() as session:
            await service.put_link(session, "a1", "p1", school, at)

    async with database.begin() as session:
        await service.put_account(session, "a1")
    await put("sp1")
    async with database.begin() as first:
        await service.put_link(first, "a1", "p1", "sp2", at)
        back = asyncio.create_task(put("sp1"))
        await until_somebody_waits(first)
    await back
    assert [cause for cause, _ in await log_of(database)][-2:] == ["school_changed", "school_changed"]


WRITES = {"insert", "update", "delete"}


def _called(node: ast.AST) -> list[ast.Call]:
    return [each for each in ast.walk(node) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)]


def _names(calls: list[ast.Call]) -> set[str]:
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def test_no_function_of_the_room_writes_a_fact_without_the_log() -> None:
    """Whatever is made to write, in a function or beforehand, is done by `written` and by nothing else."""
    tree = ast.parse(inspect.getsource(service))
    made = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and _names(_called(node)) & (WRITES | {"Logged"})
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    writing: set[str] = set()
    for function in tree.body:
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        calls = _called(function)
        logged = [call for call in calls if _names([call]) == {"written"}]
        used = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in made]
        assert {id(node) for node in used} <= {id(each) for call in logged for each in call.args}, function.name
        assert logged or not _names(calls) & WRITES, function.name
        if logged:
            writing.add(function.name)
    assert writing - {"_forget_idle"} == {name for name, _, _ in STORY}
