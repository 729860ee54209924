"""The benchmark itself, at its smallest: it ends, tells every row that it promises, and leaves nothing behind."""

import os
import re
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.answering import OPEN
from tests.benchmarks.contenders import ALONE, CONTENDERS, HOT, ORM, SMALL, TYPED, UNDISTURBED
from tests.benchmarks.load import Open
from tests.benchmarks.place import Row
from tests.benchmarks.tables import BEGIN, END, Section, placed, render

SMALLEST = [
    *("--accounts", "200", "--rounds", "1", "--seconds", "0.05", "--no-peer"),
    *("--only", "answers", "rates", "fresh", "profile"),
]


def children() -> set[str]:
    """The processes that this one has started and that still are; those of other tests' servers are among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())


@pytest.mark.slow
def test_every_contender_has_its_row_and_every_figure_is_more_than_nothing(tmp_path: Path) -> None:
    cores, before, out = os.sched_getaffinity(0), children(), tmp_path / "table.md"
    text = main([*SMALLEST, "--out", str(out)])
    rows = {cells[0]: cells[1:] for line in text.splitlines() if (cells := _cells(line))}
    ours = [one.name for one in CONTENDERS if one.where != "peer"]
    versus = ((HOT, ORM), (TYPED, ORM), (HOT, UNDISTURBED), (TYPED, UNDISTURBED), (ALONE, SMALL))
    pairs = [f"{one} : {other}" for one, other in versus]
    rates = [f"{name}, 300/s" for name in OPEN]
    fresh = ["idle", "beside 1,000 writes a second", "8 writers with the change log, to the bare update"]
    wanted, told = [*ours, *pairs, *rates, *fresh], [name for name in rows if name not in {"", "---"}]
    assert told[: len(wanted)] == wanted
    assert {"entitlements/hot.py", "litestar", "built-in functions"} <= {*told[len(wanted) :]}
    for name in (*ours, *pairs, *rates):
        assert float(rows[name][0].strip("*")) > 0, name
    for name in ours:
        app, rate = (float(rows[name][column].replace(",", "")) for column in (3, 5))
        assert app > 0, name
        assert rate > 0, name
    assert out.read_text(encoding="utf-8") == text
    assert os.sched_getaffinity(0) == cores
    assert children() <= before


def test_a_latency_counts_from_when_a_request_was_due() -> None:
    """One that was never answered is charged with the whole time that was waited for it."""
    window = Open(100, sorted([1.0] * 98 + [40.0, 5000.0]))
    assert (window.at(0.5), window.at(0.98), window.at(0.99), window.at(1.0)) == (1.0, 40.0, 5000.0, 5000.0)


def test_a_table_has_the_columns_of_all_its_rows() -> None:
    rows = [Row("one", 1.5, {"µs": "3"}, "1.2"), Row("two", None, {"ms": "4"}, "≤ 5")]
    assert render("a machine", [Section("rates", rows), Section("empty", [])]).splitlines()[-4:] == [
        "|  | ratio | goal | µs | ms |",
        "| --- | --- | --- | --- | --- |",
        "| one | **1.50** | ≥ 1.2 | 3 |  |",
        "| two |  | ≤ 5 |  | 4 |",
    ]


def test_tables_are_put_between_the_marks_of_a_document_and_nowhere_else(tmp_path: Path) -> None:
    document, fresh = tmp_path / "document.md", tmp_path / "fresh.md"
    document.write_text(f"# Words\n\n{BEGIN}\nold\n{END}\n\nMore words\n", encoding="utf-8")
    assert placed(document, "| new |\n") == f"# Words\n\n{BEGIN}\n\n| new |\n\n{END}\n\nMore words\n"
    assert placed(fresh, "| new |\n") == "| new |\n"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
