"""What is said about the house is true of it, and nothing is said that does not belong in it."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import billing
from billing.checkout.rules import Refusal
from billing.kernel.errors import BillingError
from billing.kernel.problems import CATALOGUE
from tests.architecture.sources import ROOT, calls, files, python_files, rooms, text_of

NEVER_ANSWERED = frozenset({"error", "bad_settings", "bad_catalogue", "malformed_check"})
"""The root's own code; faults that end a process with exit code 78; one that stands in its place within a batch."""

_MAP_LINE = re.compile(r"^(?P<names>\(?[a-z_]+\)?(?:, [a-z_]+)*)  +\S")
_DRAWN = re.compile(r"^\| `([a-z_/]+/)`", re.MULTILINE)
_PATH = re.compile(r"`((?:billing|webhooks|entitlements|tests)/[^` ]*)`")

_WORDS = (
    "claude", "anthropic", "chatgpt", "openai", "copilot", "subagent", "language model", "the brief", "next session",
    "previous session", "design.md", "contract.md", "domain.md", "reliability.md", "ecosystem.md", "performance.md",
    "house.md", "style.md", "field.md", "issue #",
)  # fmt: skip
_MACHINE_PATHS = re.compile(r"(?<![\w./-])/(work|root|tmp/[a-z]|home/[a-z])\S*")
_HOSTS = re.compile(r"https?://([A-Za-z0-9.-]+)")


def test_the_map_of_the_house_names_exactly_its_rooms() -> None:
    named: set[str] = set()
    for line in (billing.__doc__ or "").splitlines():
        found = _MAP_LINE.match(line)
        named |= {name.strip("()") for name in found["names"].split(", ")} if found else set()
    assert named - {"app", "worker", "cli", "wiring", "webhooks", "entitlements"} == rooms()


def test_the_readmes_map_names_exactly_the_rooms() -> None:
    section = text_of(Path("README.md")).partition("## The map")[2].partition("\n## ")[0]
    drawn = set(_DRAWN.findall(section))
    assert {f"billing/{room}/" for room in rooms()} | {"webhooks/", "entitlements/"} <= drawn
    assert {place for place in drawn if not (ROOT / place).is_dir()} == set()


def test_every_place_the_readme_names_exists() -> None:
    named = set(_PATH.findall(text_of(Path("README.md"))))
    assert {place for place in named if not any(ROOT.glob(place))} == set()


def test_every_code_of_an_error_has_its_page() -> None:
    """An unlisted code would turn a refusal into a 500."""
    assert _codes_raised() - NEVER_ANSWERED - set(CATALOGUE) == set()


def test_no_page_is_about_a_code_that_nothing_raises() -> None:
    text = "\n".join(text_of(path) for path in python_files() if path.name != "problems.py")
    assert {code for code in CATALOGUE if f'"{code}"' not in text} == set()


def _codes_raised() -> set[str]:
    for package in ("billing", "webhooks", "entitlements"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if "migrations" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    kinds = _below(BillingError)
    names = {kind.__name__ for kind in kinds}
    codes = {kind.code for kind in kinds} | set(get_args(Refusal))
    for path in python_files():
        for called, call in calls(path):
            if called in {"problem", "_Refused"}:
                codes |= {text for text in _texts(call.args) if re.fullmatch(r"[a-z_]+", text)}
            elif called.rpartition(".")[2] in names or called == "super().__init__":
                codes |= _texts([word.value for word in call.keywords if word.arg == "code"])
    return codes


def _below(kind: type[BillingError]) -> set[type[BillingError]]:
    return {kind}.union(*(_below(child) for child in kind.__subclasses__()))


def _texts(nodes: list[ast.expr]) -> set[str]:
    return {
        found.value
        for node in nodes
        for found in ast.walk(node)
        if isinstance(found, ast.Constant) and isinstance(found.value, str)
    }


def _texts_to_read() -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for path in files():
        if path == Path(__file__).relative_to(ROOT) or path.suffix in {".png", ".woff2", ".ico"}:
            continue
        found.append((path, text_of(path)))
    return found


def test_no_file_speaks_of_how_it_was_made() -> None:
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in _WORDS), re.IGNORECASE)
    said = [
        f"{path}: {match[0]}"
        for path, text in _texts_to_read()
        for match in pattern.finditer(text.replace("docs/performance.md", "").replace("(performance.md)", ""))
    ]
    assert [line for line in said if not line.startswith("requirements")] == []


def test_no_file_names_a_path_of_some_machine() -> None:
    named = [f"{path}: {match[0]}" for path, text in _texts_to_read() for match in _MACHINE_PATHS.finditer(text)]
    assert named == []


def test_no_file_names_the_package_index_of_this_machine() -> None:
    """Whatever index pip uses here is nobody else's business; requirements hold names, versions and hashes only."""
    known = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    hosts = set(_HOSTS.findall(known.stdout)) - {"pypi.org"}
    assert {str(path) for path, text in _texts_to_read() for host in hosts if host in text} == set()
    pinned = [text for path, text in _texts_to_read() if path.parts[0] == "requirements"]
    assert pinned
    assert [line for text in pinned for line in text.splitlines() if "://" in line or "--index" in line] == []
