"""Every room's pure rules are shown by properties, not by examples alone."""

import ast

import pytest

from tests.architecture.sources import ROOT

RULES = sorted(path for path in (ROOT / "billing").glob("*/*rules.py") if path.parent.name != "invariants")
"""Those of the invariants are SQL texts: what they find is shown by planted breaches (tests/invariants)."""


def _names(tree: ast.Module) -> set[str]:
    """Every module that a file imports, and every name that it takes out of one, dotted."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


TAUGHT = [
    names
    for path in (ROOT / "tests").glob("*/test_*.py")
    if "hypothesis.given" in (names := _names(ast.parse(path.read_text(encoding="utf-8"))))
]


@pytest.mark.parametrize("path", RULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_rules_file_has_a_property_test(path: object) -> None:
    module = str(path).removeprefix(f"{ROOT}/").removesuffix(".py").replace("/", ".")
    assert any(module in names for names in TAUGHT), f"no file with hypothesis' @given imports {module}"
