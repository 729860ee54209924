"""Imports run the same way as the data: the contracts, no circles, and a room's tables are its own."""

import ast
import re
from itertools import chain

from grimp import ImportGraph
from importlinter.api import read_configuration
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tests.architecture.sources import ROOT, imports, python_files, room_of, rooms, tree_of

TABLES = re.compile(r"\.(tables|inbox)$")
MAY_READ_ALL_TABLES = ("billing.finance.queries", "billing.migrations")


def test_the_import_contracts_are_kept() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None) == EXIT_STATUS_SUCCESS


def test_every_room_has_its_furniture_ordered() -> None:
    """A new room must be added to the furniture contract; sandbox, kernel and migrations are no rooms of that kind."""
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    furnished = set(next(contract["containers"] for contract in contracts if contract["id"] == "furniture"))
    wanted = {f"billing.{room}" for room in rooms() - {"kernel", "sandbox", "migrations"}}
    assert furnished == wanted | {"entitlements", "webhooks"}


def test_every_rules_module_is_held_pure() -> None:
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    pure = set(next(contract["source_modules"] for contract in contracts if contract["id"] == "pure"))
    assert {module for module in imports().modules if module.endswith((".rules", ".decision", ".translate"))} <= pure


def test_no_rooms_import_each_other_in_a_circle() -> None:
    edges = {
        (room_of(importer), room_of(imported))
        for importer in imports().modules
        for imported in imports().find_modules_directly_imported_by(importer)
    }
    assert _circles({(a, b) for a, b in edges if a != b and "billing" not in {a, b}}) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: ImportGraph = imports()
    edges = {(a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a)}
    assert _circles(edges) == []


def test_the_oracle_of_circles_sees_one() -> None:
    assert _circles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}) == [["a", "b", "c"]]


def _circles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """Groups of more than one that reach each other."""
    reach: dict[str, set[str]] = {}
    below: dict[str, set[str]] = {}
    for a, b in edges:
        below.setdefault(a, set()).add(b)
    for start, first in below.items():
        seen: set[str] = set()
        todo = [*first]
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += below.get(node, ())
        reach[start] = seen
    groups = {frozenset({a, *(b for b in reach[a] if a in reach.get(b, ()))}) for a in reach if a in reach[a]}
    return sorted(sorted(group) for group in groups)


def test_a_rooms_tables_are_imported_by_itself_finance_queries_and_migrations_only() -> None:
    graph = imports()
    foreign = {
        (importer, tables)
        for tables in graph.modules
        if TABLES.search(tables)
        for importer in graph.find_modules_that_directly_import(tables)
        if room_of(importer) != room_of(tables) and not importer.startswith(MAY_READ_ALL_TABLES)
    }
    assert foreign == set()


def test_no_room_reaches_anothers_table_classes_through_its_service() -> None:
    """`from billing.trials.service import TrialRow` would be the same thing by the back door. The kernel is
    everybody's."""
    found: list[str] = []
    for path in python_files():
        module = ".".join(path.with_suffix("").parts)
        if module.startswith(MAY_READ_ALL_TABLES):
            continue
        imported = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
        names = chain.from_iterable((f"{node.module}", alias.name) for node in imported for alias in node.names)
        for source, name in zip(*[iter(names)] * 2, strict=True):
            if name.endswith("Row") and room_of(source) not in {room_of(module), "billing.kernel", "sqlalchemy"}:
                found.append(f"{module}: {source}.{name}")
        found += [
            f"{module}: {ast.unparse(node)}"
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Attribute) and re.fullmatch(r"[A-Z]\w+Row", node.attr)
            and not ast.unparse(node.value).startswith(("keys", "audit", "outbox", "idempotency"))
        ]  # fmt: skip
    assert found == []
