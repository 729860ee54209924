"""What was tried too often: told, and tried again by a person's word, all that was named or nothing (I24, I18)."""

from datetime import datetime
from typing import Any

import anyio
import pytest
from sqlalchemy import text

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.ids import new_id, public
from billing.kernel.outbox import Message, OutboxRow, relay
from billing.notices.tables import LetterRow
from tests.cli.tool import Ran, billing
from tests.webhooks.conftest import event
from webhooks import service as inbox
from webhooks.translate import head_of

pytestmark = pytest.mark.slow


def letter(at: datetime, fault: str) -> LetterRow:
    nothing: dict[str, Any] = {"facts": {}, "attachments": {}, "pupils": []}
    return LetterRow(
        id=new_id(at), account="a1", kind="order_confirmation", about=fault, state="parked", due_at=at, tries=12,
        created_at=at, fault=fault, **nothing,
    )  # fmt: skip


@pytest.fixture
async def left(database: Database, clock: FixedClock) -> dict[str, str]:
    """One of each that is parked, and what must not be touched; by what it is, its id."""
    at = clock.now()
    message = OutboxRow(id=new_id(at), kind="order.paid", facts={"order": "ord_1"}, at=at, due_at=at)
    message.state, message.tries, message.fault = "parked", 12, "KeyError"
    letters = [letter(at, "too_many_tries"), letter(at, "delivery_unknown_twice")]
    async with database.begin() as session:
        session.add_all([message, *letters])
        await inbox.keep(session, head_of(event(), expects_livemode=False), at)
        await inbox.keep(session, head_of(b"{", expects_livemode=False), at)
        await session.execute(text("update stripe_event set state = 'parked', tries = 12, note = 'KeyError: x'"))
        (unread,) = await session.scalars(text("select id from stripe_event where type = 'unreadable'"))
    tried, doubted = (public("ntc", each.id) for each in letters)
    return {"event": "evt_1", "unread": unread, "message": str(message.id), "letter": tried, "doubted": doubted}


async def states(database: Database) -> dict[str, str]:
    """By id: what has been tried again or is parked still."""
    query = """
        select id, state from stripe_event union all select id::text, state from outbox where kind = 'order.paid'
        union all select about, state from letter"""
    async with database.begin() as session:
        rows = await session.execute(text(query))
    return {row[0]: row[1] for row in rows}


async def run(*argv: str, url: str) -> Ran:
    return await anyio.to_thread.run_sync(lambda: billing(*argv, DATABASE_URL=url))


async def test_what_waits_for_people_is_told_with_why_and_by_the_id_that_tries_it_again(
    left: dict[str, str], database_url: str
) -> None:
    told = await run("parked", url=database_url)
    assert (told.code, told.err) == (1, "")
    for name in left.values():
        assert name in told.out
    assert told.out.endswith("Parked: events 2, messages 1, letters 2\n")
    assert "KeyError" in told.out
    again = await run("retry", left["event"], left["message"], left["letter"], url=database_url)
    assert (again.code, again.out) == (0, "3 tried again; a worker does it within 30 seconds.\n")


async def test_nothing_waits_ends_with_0(database: Database, database_url: str) -> None:
    told = await run("parked", url=database_url)
    assert (told.code, told.out) == (0, "Parked: events 0, messages 0, letters 0\n")


async def test_all_that_is_named_is_tried_again_or_nothing_and_every_fault_is_named_i18(
    left: dict[str, str], database: Database, database_url: str
) -> None:
    wrong = [left["doubted"], left["unread"], "nonsense", public("ntc", new_id(datetime.fromtimestamp(0).astimezone()))]
    told = await run("retry", left["message"], *wrong, url=database_url)
    assert (told.code, told.out) == (1, "")
    for name in wrong:
        assert name in told.err
    assert left["message"] not in told.err
    assert set((await states(database)).values()) == {"parked"}
    for argv in ((), (left["event"], "--all", "events"), ("--all", "trials")):
        assert (await run("retry", *argv, url=database_url)).code == 2


async def test_a_message_that_is_tried_again_reaches_whoever_wanted_it_i24(
    left: dict[str, str], database: Database, database_url: str, clock: FixedClock
) -> None:
    heard: list[str] = []

    async def consumer(_: Any, message: Message, __: datetime) -> None:
        heard.append(message.kind)

    work = relay(database, {"order.paid": (consumer,)})
    await work.run(clock.now())
    assert heard == []
    assert (await run("retry", "--all", "messages", url=database_url)).code == 0
    async with database.begin() as session:
        due = await work.next_due(session)
    assert due is not None
    await work.run(due)
    assert heard == ["order.paid"]


async def test_of_a_sort_all_are_tried_again_but_those_that_never_may_be(
    left: dict[str, str], database: Database, database_url: str
) -> None:
    assert (await run("retry", "--all", "letters", url=database_url)).out.startswith("1 tried again")
    assert (await run("retry", "--all", "events", url=database_url)).out.startswith("1 tried again")
    assert await states(database) == {
        "evt_1": "new", left["unread"]: "parked", left["message"]: "parked",
        "too_many_tries": "planned", "delivery_unknown_twice": "parked",
    }  # fmt: skip
