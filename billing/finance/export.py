"""The list as CSV: exactly the filtered rows, all of them, streamed in pieces that each cost the same (R116)."""

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from billing.catalog.rules import season_of
from billing.finance.csv_text import BOM, Cell, Grosz, lines
from billing.finance.queries.rows import Question, Row, accounts_of, page_of
from billing.finance.words import Words
from billing.kernel.days import last_day_before
from billing.kernel.db import Database
from billing.kernel.ids import public

PIECE: Final = 2000
PREFIXES: Final = {"trial": "trl", "pass": "sub", "order": "ord"}
_HEAD: Final = ("kind", "id", "number", "account", "pupils", "state", "season", "amount", "first_day", "last_day",
                "made_on", "attention")  # fmt: skip


async def csv_of(database: Database, asked: Question, words: Words) -> AsyncGenerator[str]:
    """The text of the file, piece by piece; each piece is read in a short transaction of its own, so that a slow
    reader holds nothing. Rows that come to exist meanwhile are newer than the first piece, and are not in the file."""
    yield BOM + lines([[words(key) + (" (PLN)" if key == "amount" else "") for key in _HEAD]])
    after: UUID | None = None
    while True:
        async with database.begin() as session:
            rows = await page_of(session, asked, after, PIECE)
            linked = await accounts_of(session, [pupil for row in rows if row.account is None for pupil in row.pupils])
        if not rows:
            return
        yield lines(_cells(row, linked, asked, words) for row in rows)
        after = rows[-1].id
        if len(rows) < PIECE:
            return


def _cells(row: Row, linked: dict[str, list[str]], asked: Question, words: Words) -> list[Cell]:
    accounts = [row.account] if row.account else [each for pupil in row.pupils for each in linked.get(pupil, ())]
    last = last_day_before(row.until)
    season = row.season or season_of(last, asked.season).label
    flags = (("overdue", row.is_overdue), ("staff", row.needs_staff))
    return [
        words.code(row.kind),
        name_of(row),
        row.number,
        " ".join(dict.fromkeys(accounts)),
        " ".join(row.pupils),
        words.code(row.state),
        season,
        None if row.amount is None else Grosz(row.amount),
        row.since,
        last,
        row.made_at,
        ", ".join(words.code(flag) for flag, is_up in flags if is_up),
    ]


def name_of(row: Row) -> str:
    """The public id of a row."""
    return public(PREFIXES[row.kind], row.id)
