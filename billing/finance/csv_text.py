"""CSV that Polish Excel opens right and that never starts a formula (R116, S57). Pure.

UTF-8 with a byte order mark, `;` between cells, decimal commas, CRLF after each line, quoting by RFC 4180.
"""

import csv
import io
import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from billing.kernel.days import day_of

BOM: Final = "\ufeff"
MEDIA_TYPE: Final = "text/csv"  # the framework adds the charset
# After these, and at the start, a careless reader may see a cell begin.
_BEGINS: Final = ";,\"'\r\n"
# What such a reader passes over, and what makes a formula behind it.
_FORMULA: Final = re.compile(r"[\s\"']++[=+\-@＝＋－＠]?|[=+\-@＝＋－＠]")
_MAKE_ONE: Final = "=+-@\t\r＝＋－＠"

Cell = str | int | date | datetime | None


class Grosz(int):
    """An amount of money in a cell."""


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet runs: an apostrophe stands before what would start a formula.

    >>> guarded("=1+1"), guarded("anna+1@example.pl")
    ("'=1+1", 'anna+1@example.pl')
    """
    return _FORMULA.sub(_guarded, text.replace("\0", ""))


def _guarded(found: re.Match[str]) -> str:
    """An apostrophe at each place that a cell may begin at, up to the last letter that makes a formula."""
    passed, begin = found[0], found.start()
    before = found.string[max(begin - 1, 0) : begin]
    last = max(passed.rfind(letter) for letter in _MAKE_ONE)
    told = list[str]()
    for place, letter in enumerate(passed):
        told += ["'", letter] if place <= last and before in _BEGINS else [letter]
        before = letter
    return "".join(told)


def cell_text(cell: Cell) -> str:
    """One cell: 4499 grosz is 44,99; an instant is its Warsaw day; text is guarded; None is empty."""
    if isinstance(cell, Grosz):
        sign, (zloty, grosz) = "-" if cell < 0 else "", divmod(abs(cell), 100)
        return f"{sign}{zloty},{grosz:02d}"
    if isinstance(cell, datetime):
        return day_of(cell).isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, int):
        return str(cell)
    return "" if cell is None else guarded(cell)


def lines(rows: Iterable[Iterable[Cell]]) -> str:
    """Rows as lines of CSV."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=";", lineterminator="\r\n")
    for row in rows:
        writer.writerow([cell_text(cell) for cell in row])
    return written.getvalue()


def file_name(stem: str, on: date, kind: str = "csv") -> str:
    """A Content-Disposition that no name can break out of (S58): stem and kind are ours, never a visitor's."""
    return f'attachment; filename="{stem}-{on.isoformat()}.{kind}"'
