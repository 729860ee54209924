"""Small files, small functions, names that say something."""

import ast

from tests.architecture.sources import functions, python_files, text_of, tree_of

LONGEST_FILE = 300
LONGEST_FUNCTION = 40
GENERATED = ("versions",)
SAYS_NOTHING = frozenset({"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "handler",
                          "handlers", "misc", "core", "lib"})  # fmt: skip


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {
        str(path): len(text_of(path).splitlines())
        for path in python_files("billing", "webhooks", "entitlements", "tests")
        if not set(GENERATED) & set(path.parts)
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    """Counted without its docstring and decorators: a page of parameters' meaning is no reason to cut it."""
    long = {
        f"{path}:{name}": length
        for path in python_files("billing", "webhooks", "entitlements", "tests")
        if not set(GENERATED) & set(path.parts)
        for name, function in functions(path)
        if (length := _length(function)) > LONGEST_FUNCTION
    }
    assert long == {}


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        whole -= (first.end_lineno or first.lineno) - first.lineno + 1
    return whole


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {part for path in python_files() for part in path.with_suffix("").parts}
    assert names & SAYS_NOTHING == set()


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    silent = [str(path) for path in python_files() if not ast.get_docstring(tree_of(path)) and text_of(path).strip()]
    assert [path for path in silent if "versions" not in path] == []
