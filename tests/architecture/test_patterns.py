"""No pattern takes long on hostile text (S70): ten times the text is some ten times the work, never a hundred times."""

import ast
import importlib
import re
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import calls, python_files

READ_NO_STRANGERS = {
    "billing/kernel/pages.py": "pages of ours, in which all that others wrote is escaped",
    "billing/checkout/documents.py": "the documents that lie beside it",
}
"""What they read. Nor is the sandbox looked at: it is for one's own machine."""
SHORT, LONG = 5_000, 50_000
LETTERS = "aA0.@ \n\t\\\"'-/:<=[;,_"
ENDS = ("", "\0", '"')
NOTHING, MUCH = 0.02, 1.0
"""Seconds of work: too few to compare, and too many in any case."""

Pattern = re.Pattern[Any]


def patterns() -> Iterator[tuple[str, Pattern]]:
    """Those that are made when a module is loaded, and those that are written where they are used."""
    for path in python_files():
        if path.is_relative_to("billing/sandbox") or str(path) in READ_NO_STRANGERS:
            continue
        is_made = False
        for name, call in calls(path):
            is_made = is_made or name == "re.compile"
            yield from ((str(path), re.compile(text)) for text in _written(name, call))
        if is_made:
            module = importlib.import_module(".".join(path.with_suffix("").parts))
            yield from ((str(path), value) for value in vars(module).values() if isinstance(value, re.Pattern))


def _written(name: str, call: ast.Call) -> Iterator[str]:
    texts = call.args[:1] if name.startswith("re.") and name != "re.compile" else []
    texts = [word.value for word in call.keywords if word.arg == "pattern" and name == "Meta"] or texts
    yield from (str(text.value) for text in texts if isinstance(text, ast.Constant))


def work(pattern: Pattern, text: str) -> float:
    """Seconds of the processor until it is found wherever it is."""
    hostile: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
    began = time.process_time()
    for _ in pattern.finditer(hostile):
        pass
    return time.process_time() - began


def is_slow(pattern: Pattern, pair: str, end: str) -> bool:
    """Whether ten times the text is much more than ten times the work."""
    few, many = (pair * (size // len(pair)) + end for size in (SHORT, LONG))
    little = work(pattern, few)
    if little > MUCH:
        return True
    much = work(pattern, many)
    return much > NOTHING and much > 40 * little


FOUND = {f"{path}: {pattern.pattern!r}": pattern for path, pattern in patterns()}


@pytest.mark.parametrize("name", FOUND)
def test_s70_no_pattern_takes_long_on_hostile_text(name: str) -> None:
    letters = sorted({*LETTERS} & {*str(FOUND[name].pattern)} | {*'a0 "'})
    pairs = ["".join(pair) for pair in product(letters, repeat=2)]
    hostile = product(pairs, ENDS)
    assert next((each for each in hostile if is_slow(FOUND[name], *each)), None) is None


def test_the_measure_finds_a_slow_one_and_every_file_with_patterns_is_looked_at() -> None:
    assert is_slow(re.compile(r"a+$"), "aa", "\0")
    assert len({name.partition(":")[0] for name in FOUND}) > 10
    assert {path for path in READ_NO_STRANGERS if not Path(path).exists()} == set()
