"""`billing audit`: exit code 0 and one line when all holds; 1 and what is wrong when it does not."""

import json
from datetime import UTC, datetime

import anyio
from sqlalchemy import text

from billing.invariants.queries import QUERIES
from billing.kernel.db import Database
from tests.cli.tool import Ran, billing

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


async def audited(database_url: str, *argv: str) -> Ran:
    return await anyio.to_thread.run_sync(lambda: billing("audit", *argv, DATABASE_URL=database_url))


async def test_a_database_in_which_all_holds_is_audited_in_a_line(database_url: str) -> None:
    told = await audited(database_url)
    assert (told.code, told.out) == (0, f"{len(QUERIES)} queries, {len(QUERIES)} hold, 0 do not.\n")


async def test_a_breach_is_named_with_its_rows_and_exit_code_1(database: Database, database_url: str) -> None:
    async with database.begin() as session:
        await session.execute(text("set local session_replication_role = replica"))
        await session.execute(
            text("""insert into ledger_line (id, transaction_id, cause, order_id, account, amount, currency, at,
            booked_on) values (gen_random_uuid(), gen_random_uuid(), 'x', 'ord_1', 'bank', 1, 'PLN', :at, :on)"""),
            {"at": NOON, "on": NOON.date()},
        )
    told = await audited(database_url)
    assert told.code == 1
    assert "a posting that does not sum to zero" in told.out
    found = json.loads((await audited(database_url, "--json")).out)
    (broken,) = [finding for finding in found if finding["rows"]]
    assert (broken["number"], broken["rows"][0]["off"]) == ("I09", "1")
