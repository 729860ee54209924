"""What the product really sends to the database, and how the database would go about it."""

import json
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import greenlet
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

import billing
from billing.kernel.db import Database

_HOME = f"{Path(billing.__path__[0]).parent}/"
_PRODUCT = tuple(f"{_HOME}{room}/" for room in ("billing", "entitlements", "webhooks"))
_EXPLAINED = {"select", "with", "insert", "update", "delete"}
_NOBODYS = ("/sandbox/", "/kernel/db.py")
_WALKS = {"Index Scan", "Index Only Scan"}
_SUMS = {"Aggregate", "Group", "Unique"}
"""Steps that want every row of what is below them."""

Sent = dict[str, tuple[str, tuple[Any, ...]]]
"""Each statement, the file of the product that sent it, and an example of its values."""


@contextmanager
def overheard(database: Database) -> Generator[Sent]:
    """The statements of the product from now on; those of tests are not heard."""
    sent: Sent = {}

    def listen(_link: Any, _cursor: Any, statement: str, given: Any, _context: Any, is_many: Any) -> None:
        sender = _sender()
        if sender and statement not in sent and statement.split(None, 1)[0].lower() in _EXPLAINED:
            sent[statement] = sender, tuple((given[0] if is_many else given) or ())

    event.listen(database.engine.sync_engine, "before_cursor_execute", listen)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", listen)


def _sender() -> str:
    """The file that sends a statement, from the top of the project; empty where a test does. SQLAlchemy works in a
    greenlet, whose parent is whoever awaits it."""
    frame: Any = sys._getframe(2)
    parent = greenlet.getcurrent().parent
    while True:
        while frame is None and parent is not None:
            frame, parent = parent.gr_frame, parent.parent
        if frame is None:
            return ""
        name = frame.f_code.co_filename
        if name.startswith(_PRODUCT) and not any(part in name for part in _NOBODYS):
            return name.removeprefix(_HOME)
        if name.startswith(f"{_HOME}tests/"):
            return ""
        frame = frame.f_back


async def partial_indexes(link: AsyncConnection) -> set[str]:
    """The names of indexes that lead to few rows."""
    query = "select indexrelid::regclass::text from pg_index where indpred is not null"
    return {row[0] for row in await link.exec_driver_sql(query)}


async def read_whole(link: AsyncConnection, statement: str, values: tuple[Any, ...], partial: set[str]) -> set[str]:
    """The tables of which a statement would read every row, or walk a whole index past rows that it does not want,
    though scans are forbidden; `partial` indexes may be walked."""
    await link.exec_driver_sql("set local enable_seqscan = off")
    told = (await link.exec_driver_sql(f"explain (format json) {statement}", values)).scalar_one()
    (plan,) = json.loads(told) if isinstance(told, str) else told
    return set(_whole(plan["Plan"], partial))


def _whole(plan: dict[str, Any], partial: set[str]) -> Iterator[str]:
    is_walk = plan["Node Type"] in _WALKS and "Filter" in plan and "Index Cond" not in plan
    if plan["Node Type"] == "Seq Scan" or (is_walk and plan["Index Name"] not in partial):
        yield plan["Relation Name"]
    for each in plan.get("Plans", ()):
        is_whole = each["Node Type"] in _WALKS and not {"Filter", "Index Cond"} & each.keys()
        if plan["Node Type"] in _SUMS and is_whole and each["Index Name"] not in partial:
            yield each["Relation Name"]
        yield from _whole(each, partial)
