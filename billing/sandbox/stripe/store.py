"""The stand-in's one SQLite file: objects, events, deliveries, kept answers, the request log, settings.

Everything a request changes is one transaction; the file survives restarts and kills. Instants are seconds since 1970
(fractions allowed) of the stand-in's clock.
"""

import json
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from billing.sandbox.stripe.errors import Json

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  parent TEXT, due REAL, clock TEXT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
  created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, mode TEXT NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, born REAL NOT NULL, due REAL,
  last_status INTEGER, last_at REAL);
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
  form TEXT NOT NULL, key TEXT, status INTEGER, answered INTEGER NOT NULL, at REAL NOT NULL, answer TEXT);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_MEMBERS = ("customer", "payment_intent", "_subscription")
"""Members of objects by which they are looked for so often that each has an index."""
_INDEXES = """
DROP INDEX IF EXISTS objects_due;
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_parent ON objects (parent, kind, seq) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_due_now ON objects (due, seq) WHERE due IS NOT NULL AND clock IS NULL;
CREATE INDEX IF NOT EXISTS objects_due_by_clock ON objects (clock, due, seq) WHERE clock IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_created ON events (created);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due, seq) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE INDEX IF NOT EXISTS answers_at ON answers (at);
""" + "".join(
    f"CREATE INDEX IF NOT EXISTS objects_by{name} ON objects (kind, json_extract(body, '$.{name}'), seq);\n"
    for name in _MEMBERS
)


class Store:
    """Rows in, rows out; knows nothing of what they mean."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.execute("PRAGMA busy_timeout=5000")
        self.connection.executescript(_TABLES)
        # A file from before test clocks has no place for them.
        if "clock" not in {row[1] for row in self.rows("PRAGMA table_info(objects)")}:
            self.run("ALTER TABLE objects ADD COLUMN clock TEXT")
        self.connection.executescript(_INDEXES)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All or nothing; never held over an ``await``."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query."""
        return self.connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        """The first row of a query, or None."""
        return self.connection.execute(query, values).fetchone()

    def run(self, statement: str, *values: Any) -> int:
        """How many rows the statement touched."""
        return self.connection.execute(statement, values).rowcount

    # Objects

    def put(
        self, body: Json, kind: str, parent: str | None = None, due: float | None = None, clock: str | None = None
    ) -> None:
        """Make the object, or replace its body and its due instant; its parent and its clock stay what they were."""
        self.run(
            "INSERT INTO objects (id, kind, parent, due, clock, body) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body, due = excluded.due",
            body["id"],
            kind,
            parent,
            due,
            clock,
            json.dumps(body),
        )

    def get(self, key: str) -> Json | None:
        """The object of any kind with this id."""
        row = self.one("SELECT body FROM objects WHERE id = ?", key)
        return None if row is None else json.loads(row[0])

    def remove(self, key: str) -> None:
        """Take the object away."""
        self.run("DELETE FROM objects WHERE id = ?", key)

    def all_of(self, kind: str, where: str = "", *values: Any) -> list[Json]:
        """Objects of a kind, newest first; ``where`` is a fixed piece of SQL beginning with AND."""
        query = f"SELECT seq, body FROM objects WHERE kind = ? {where} ORDER BY seq DESC"
        return [{**json.loads(row[1]), "_seq": row[0]} for row in self.rows(query, kind, *values)]

    def children(self, parent: str, kind: str) -> list[Json]:
        """Objects that belong to another, oldest first."""
        query = "SELECT seq, body FROM objects WHERE parent = ? AND kind = ? ORDER BY seq"
        return [{**json.loads(row[1]), "_seq": row[0]} for row in self.rows(query, parent, kind)]

    def first_due(self, until: float, clock: str | None = None) -> tuple[float, Json] | None:
        """The earliest object whose due instant has come on the shared clock, or on that test clock."""
        whose = "clock IS NULL" if clock is None else "clock = ?"
        query = (
            f"SELECT due, body FROM objects WHERE {whose} AND due IS NOT NULL AND due <= ? ORDER BY due, seq LIMIT 1"
        )
        row = self.one(query, *([] if clock is None else [clock]), until)
        return None if row is None else (float(row[0]), json.loads(row[1]))

    def next_due(self) -> float | None:
        """The earliest due instant on the shared clock; test clocks move only when they are told to."""
        query = "SELECT due FROM objects WHERE clock IS NULL AND due IS NOT NULL ORDER BY due, seq LIMIT 1"
        row = self.one(query)
        return None if row is None else float(row[0])

    # Settings

    def setting(self, name: str, default: Any) -> Any:
        """A kept setting."""
        row = self.one("SELECT value FROM settings WHERE name = ?", name)
        return default if row is None else json.loads(row[0])

    def set(self, name: str, value: Any) -> None:
        """Keep a setting until it is changed."""
        self.run(
            "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            json.dumps(value),
        )
