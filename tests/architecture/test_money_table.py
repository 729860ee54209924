"""The published table of what money does to rights is the one the product reads."""

import re
from pathlib import Path

from billing.notices.compose_money import KINDS as MONEY_LETTERS
from billing.payments.rules import REFUND_MOVES
from billing.withdrawals.effects import TABLE
from tests.architecture.sources import text_of

_PAGE = Path("docs/money.md")
_ROW = re.compile(r"^\| `([a-z_]+)` \| `(season_pass|renewing|sponsored)` \|(.*)\|$", re.MULTILINE)
_MOVE = re.compile(r"^\| (`[a-z_`, ]+`) \| (`[a-z_`, ]+`) \| [^|]+\|$", re.MULTILINE)


def _words(cell: str) -> str:
    return cell.strip().strip("`")


def test_every_row_of_the_published_table_is_a_row_of_the_code_and_none_is_missing() -> None:
    published = {
        (event, kind): tuple(_words(cell) for cell in rest.split("|"))
        for event, kind, rest in _ROW.findall(text_of(_PAGE))
    }
    coded = {
        (str(event), str(kind)): (
            " / ".join(row.ends_as) if row.ends_as else "stays", row.day, row.letter or "—", row.money, row.case or "—",
        )
        for (event, kind), row in TABLE.items()
    }  # fmt: skip
    assert published == coded


def test_the_published_moves_of_a_refund_are_those_of_the_code() -> None:
    names = re.compile(r"`([a-z_]+)`")
    published = {
        (before, after)
        for befores, afters in _MOVE.findall(text_of(_PAGE))
        for before in names.findall(befores)
        for after in names.findall(afters)
    }
    assert published == set(REFUND_MOVES)


def test_every_letter_the_table_names_can_be_written() -> None:
    named = {row.letter for row in TABLE.values() if row.letter}
    composed = text_of(Path("billing/notices/compose.py")) + text_of(Path("billing/notices/compose_renewals.py"))
    composed += text_of(Path("billing/notices/service.py"))
    assert {letter for letter in named - set(MONEY_LETTERS) if f'"{letter}"' not in composed} == set()
