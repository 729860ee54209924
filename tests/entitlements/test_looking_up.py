"""What asks for a few rows over and over reads those few, whatever the database knows of its tables.

A table that is small when a statement is planned, or that nobody has analysed yet, is the planner's reason to read all
of it, and the plan stays while the table grows: with 60,000 rows in the log each reading of the feed took 2 ms of the
database's processor instead of 0.04.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from billing.kernel.db import Database
from billing.kernel.line import Line
from entitlements.reader import FACTS
from entitlements.snapshot import feed
from entitlements.snapshot.feed import Feed


@pytest.fixture
async def links(database: Database) -> AsyncIterator[dict[str, Any]]:
    """The connections themselves: of strong look-ups and of the feed, on tables that are empty and never analysed."""
    line, follower = Line(database.engine.sync_engine, 5), Feed(database.engine.sync_engine)
    await line.fetch("select 1")
    await follower.begin()
    yield {"line": line._link, "feed": follower._link}
    line.drop()
    follower.drop()


@pytest.mark.parametrize(
    ("whose", "statement", "values"),
    [
        ("line", FACTS, "array['a']"),
        ("feed", feed._CHANGED, "'3:3:'"),
        ("feed", feed._LINKED, "array['p'], array['s']"),
    ],
    ids=["strong look-up", "what changed", "who is linked"],
)
async def test_it_is_planned_by_index_even_where_a_table_is_empty(
    links: dict[str, Any], whose: str, statement: str, values: str
) -> None:
    link = links[whose]
    await link.execute(f"prepare asked as {statement}")
    plan = "\n".join(row[0] for row in await link.fetch(f"explain execute asked({values})"))
    assert "Index" in plan
    assert "Seq Scan" not in plan
    assert "Hash Join" not in plan
    assert "Merge" not in plan
