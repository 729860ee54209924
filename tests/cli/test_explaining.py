"""`billing explain`: the engine's own decisions, and every fact they are made of."""

from datetime import datetime, timedelta

import anyio
import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from entitlements import service as desk
from tests.cli.tool import Ran, billing

SINCE = datetime.fromisoformat("2026-09-01T08:00:00+00:00")


async def explained(database_url: str, *argv: str) -> Ran:
    return await anyio.to_thread.run_sync(lambda: billing("explain", *argv, DATABASE_URL=database_url))


@pytest.mark.slow
async def test_each_add_on_is_explained_at_the_instant_asked_about_r118(
    database: Database, database_url: str, clock: FixedClock
):
    until = SINCE + timedelta(days=90)
    async with database.begin() as session:
        await desk.put_account(session, "a1")
        await desk.put_link(session, "a1", "p1", "sp5", SINCE)
        await desk.add_grant(
            session,
            pupil="p1",
            source="trial",
            origin="trl_1",
            features=["messages", "homework"],
            since=SINCE,
            until=until,
            at=SINCE,
        )
        await desk.put_school_blocks(session, "sp5", ["homework"], SINCE)
    told = await explained(database_url, "a1", "p1", "--at", "2026-09-02T00:00:00+02:00")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0] == "a1, p1, mobile, at 2026-09-01T22:00:00Z"
    assert "  blocked by the school since 2026-09-01T08:00:00Z: homework" in lines
    assert "  trial trl_1: 2026-09-01T08:00:00Z to 2026-11-30T08:00:00Z" in lines
    assert "messages: allowed, trial; until 2026-11-30T08:00:00Z; sources: trl_1" in lines
    assert any(line.startswith("homework: refused, blocked_by_school") for line in lines)
    assert "desk_view: refused, never_started; until no known change; sources: none" in lines
    later = await explained(database_url, "a1", "p1", "--at", "2026-11-30T08:00:00Z")
    assert "messages: refused, trial_ended; until no known change; sources: none" in later.out.splitlines()


@pytest.mark.slow
async def test_who_is_not_linked_or_not_known_is_told_so(database: Database, database_url: str):
    async with database.begin() as session:
        await desk.put_account(session, "a1")
    told = await explained(database_url, "a1", "p9")
    assert told.code == 0
    assert "  the pupil is not linked to this account" in told.out.splitlines()
    assert "messages: refused, not_linked; until no known change; sources: none" in told.out
    unknown = await explained(database_url, "nobody", "p9")
    assert (unknown.code, unknown.out) == (1, "")
    assert "no account of this reference" in unknown.err
