"""`billing import accounts FILE` as its user meets it: progress, refused lines, broken off and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import text

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.trials.importing import BATCH, Tally, run
from tests.cli.tool import ROOT, Ran, billing, whole
from tests.importing.world import TERMS, standing

LINES = 2 * BATCH + 500


def accounts(path: Path, lines: int, *, is_bad: bool = False) -> Path:
    """So many confirmed accounts; every thousandth with a pupil, or refused."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            line: dict[str, Any] = {"account": f"a-{number}", "email": f"p{number}@example.pl", "kind": "guardian",
                                    "age_band": "adult", "email_confirmed": True}  # fmt: skip
            if number % 1000 == 7:
                line |= {"email": "nobody"} if is_bad and number % 2000 == 7 else {"pupil": f"p-{number}"}
            file.write(json.dumps(line) + "\n")
    return path


async def told(database_url: str, *argv: str) -> Ran:
    return await anyio.to_thread.run_sync(lambda: billing("import", "accounts", *argv, DATABASE_URL=database_url))


def figures(ran: Ran) -> dict[str, int]:
    pairs = (line.partition(":") for line in ran.out.splitlines() if ":" in line)
    return {name: int(value) for name, _, value in pairs}


async def count(database: Database, table: str) -> int:
    async with database.begin() as session:
        return int(
            await session.scalar(text("select count(*) from account" if table == "account" else "select 0")) or 0
        )


async def test_a_dry_run_tells_what_the_import_then_does_and_changes_nothing(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    path = accounts(tmp_path / "a.ndjson", 3000, is_bad=True)
    foreseen = await told(database_url, str(path), "--dry-run")
    assert await count(database, "account") == 0
    done = await told(database_url, str(path))
    assert (foreseen.code, figures(foreseen)) == (done.code, figures(done))
    assert done.code == 1, "two lines were refused"
    assert figures(done) == {
        "lines taken": 2998, "lines refused": 2, "accounts registered": 2998, "accounts changed": 0, "pupils linked": 1,
        "trials begun": 1,
    }  # fmt: skip
    assert await count(database, "account") == 2998
    failures = [json.loads(line) for line in (tmp_path / "a.ndjson.failures.ndjson").read_text().splitlines()]
    assert [(one["line"], one["errors"][0]["pointer"]) for one in failures] == [(8, "/email"), (2008, "/email")]
    assert "nobody" not in json.dumps(failures), "the file of failures repeats nobody's data"


async def test_a_file_that_is_done_changes_nothing_and_one_that_is_mended_does_the_rest(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    path = accounts(tmp_path / "a.ndjson", 2100, is_bad=True)
    first = await told(database_url, str(path))
    async with database.begin() as session:
        stood = await standing(session)
    again = await told(database_url, str(path))
    async with database.begin() as session:
        assert await standing(session) == stood
    assert (again.code, figures(again)) == (first.code, figures(first))
    assert "done already" in again.err
    accounts(path, 2100)
    mended = await told(database_url, str(path))
    assert (mended.code, figures(mended)["accounts registered"], figures(mended)["lines taken"]) == (0, 2, 2100)


class Broken(Exception):
    """The power goes."""


async def test_an_import_broken_off_after_a_batch_goes_on_behind_it(
    database: Database, clock: FixedClock, tmp_path: Path
) -> None:
    path, failures = accounts(tmp_path / "a.ndjson", LINES, is_bad=True), tmp_path / "f.ndjson"
    seen: list[int] = []

    def stop(tally: Tally) -> None:
        seen.append(tally.lines)
        raise Broken

    with pytest.raises(Broken):
        await run(database, clock, TERMS, path, failures, stop)
    with failures.open("ab") as file:  # what a batch leaves that was never committed
        file.write(b'{"line":20001,"errors":[]}\n{"line":2000')
    tally = await run(database, clock, TERMS, path, failures, lambda tally: seen.append(tally.lines))
    assert seen[0] < BATCH < seen[1] < LINES
    assert tally.lines + tally.failed == LINES
    assert await count(database, "account") == tally.lines == tally.accounts_added
    named = [json.loads(line)["line"] for line in failures.read_text().splitlines()]
    assert named == [number + 1 for number in range(7, LINES, 2000)]


def imported(database_url: str, path: Path) -> subprocess.Popen[bytes]:
    """The tool as a process of its own, under way."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}
    given = clean | {name: value for name, value in whole({"DATABASE_URL": database_url}).items() if value is not None}
    argv = [sys.executable, "-m", "billing", "import", "accounts", str(path)]
    return subprocess.Popen(argv, cwd=ROOT, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def waiting() -> Iterator[None]:
    for _ in range(600):
        yield
        time.sleep(0.02)
    raise AssertionError("nothing was ever imported")


async def test_killed_on_its_way_it_goes_on_and_nothing_is_there_twice(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    path = accounts(tmp_path / "a.ndjson", LINES)
    process = imported(database_url, path)
    try:
        for _ in waiting():
            if await count(database, "account"):
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    stood = await count(database, "account")
    assert stood % BATCH == 0 or stood == LINES, "a batch is there as a whole or not at all"
    done = await told(database_url, str(path))
    assert (done.code, await count(database, "account"), figures(done)["accounts registered"]) == (0, LINES, LINES)
    async with database.begin() as session:
        found = await standing(session)
    assert len(found["trials"]) == len(found["grants"]) == LINES // 1000 + 1
    assert len([row for row in found["audit"] if row[2] == "account.confirmed"]) == LINES


async def test_what_is_no_file_of_accounts_is_refused_before_anything_is_done(
    database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("account;mail\n", encoding="utf-8")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    for name, words in (("a.csv", "email: This column is required"), ("a.xlsx", ".csv, .ndjson")):
        ran = await told(database_url, str(tmp_path / name))
        assert ran.code == 1
        assert words in ran.err
    assert (await told(database_url, str(tmp_path / "none.csv"))).code == 2


async def test_an_unconfirmed_address_is_written_to_as_by_the_route(
    database: Database, database_url: str, tmp_path: Path, at: datetime
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("account,email,kind,age_band\na1,anna@example.pl,guardian,adult\n", encoding="utf-8")
    assert (await told(database_url, str(path))).code == 0
    async with database.begin() as session:
        assert [row[0] for row in (await standing(session))["outbox"]] == ["account.registered"]
