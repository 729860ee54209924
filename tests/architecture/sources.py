"""The tree as text and as syntax, read once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("billing", "webhooks", "entitlements")
NOT_OURS = frozenset(
    {".venv", ".git", ".data", ".hypothesis", ".pytest_cache", ".ruff_cache", ".import_linter_cache", "__pycache__",
     "node_modules"}
)  # fmt: skip
_ARTEFACTS = ("dist", "build")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, relative to its top."""
    found = (path for path in ROOT.rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(sorted(path.relative_to(ROOT) for path in found if not _is_foreign(path.relative_to(ROOT))))


def _is_foreign(path: Path) -> bool:
    return bool(NOT_OURS & set(path.parts)) or path.parts[0] in _ARTEFACTS


@cache
def python_files(*tops: str) -> tuple[Path, ...]:
    """The Python files below some of the top folders; by default those of the product."""
    wanted = tops or PACKAGES
    return tuple(path for path in files() if path.suffix == ".py" and path.parts[0] in wanted)


@cache
def text_of(path: Path) -> str:
    """A file's text."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """A file's syntax."""
    return ast.parse(text_of(path), str(path))


def functions(path: Path) -> Iterator[tuple[str, Function]]:
    """Every function of a file with its dotted name inside the file."""
    yield from _functions(tree_of(path), "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file with the text of what is called."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@cache
def rooms() -> frozenset[str]:
    """The packages inside billing."""
    return frozenset(
        folder.name for folder in (ROOT / "billing").iterdir() if folder.is_dir() and (folder / "__init__.py").exists()
    )


@cache
def imports() -> grimp.ImportGraph:
    """Who imports whom, the product's own modules only."""
    return grimp.build_graph(*PACKAGES)


def room_of(module: str) -> str:
    """`billing.trials` for anything in that room; the package itself for the mail room and the front desk."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "billing" else parts[0]
