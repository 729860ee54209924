"""What the documents say is so: every test, number, link, setting, metric, work and command they name exists."""

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
import sqlalchemy
from prometheus_client.metrics import MetricWrapperBase

from billing.cli import main
from billing.kernel import idempotency, metrics
from billing.kernel.db import Database
from billing.kernel.problems import CATALOGUE
from billing.kernel.settings import PREFIX, Settings, load
from billing.openapi import PLACE
from billing.wiring import build
from entitlements import answers
from tests.architecture.sources import ROOT, files, python_files, text_of, tree_of

NUMBERS = {
    "requirements": [f"R{number}" for number in range(1, 139)],
    "promises": [f"I{number:02}" for number in range(1, 31)],
    "faults": [f"F{number:02}" for number in range(1, 59)] + [f"CP{number:02}" for number in range(1, 31)],
    "security": [f"S{number:02}" for number in range(1, 93)],
}
STATES = ("built", "partly", "not yet")
THIS = Path(__file__).relative_to(ROOT)
NOT_OURS = frozenset({"S256"})
"""The name of PKCE's method."""

_ROW = re.compile(r"^\| ((?:R|I|F|S|CP)\d+) \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
_STATE = re.compile(r"^`(?P<state>[a-z ]+)`(?:: (?P<missing>\S.*))?$")
_TEST = re.compile(r"`(tests/[a-z_/]+\.py)::([A-Za-z0-9_:]+)(\[[^`]*\])?`")
_SUMS = re.compile(r"^Of (\d+): (\d+) built, (\d+) partly, (\d+) not yet\.$", re.MULTILINE)
_CITED = re.compile(r"(?<![A-Za-z0-9_])((?:R|I|F|S|CP)\d+)(?![A-Za-z0-9_])")
_CITED_IN_A_NAME = re.compile(r"(?<=_)((?:r|i|f|s|cp)\d+)(?=_|\()")
_LINTER = re.compile(r"# noqa.*")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


class Line(msgspec.Struct, frozen=True):
    """One line of a table."""

    number: str
    what: str
    state: str
    missing: str
    tests: tuple[tuple[str, str], ...]


@cache
def _lines(document: str) -> tuple[Line, ...]:
    found: list[Line] = []
    for number, what, state, tests in _ROW.findall(text_of(Path(f"docs/{document}.md"))):
        said = _STATE.match(state.strip())
        assert said is not None, f"{number}: {state}"
        named = tuple((file, name) for file, name, _ in _TEST.findall(tests))
        assert len(named) == len([part for part in tests.split("<br>") if part.strip()]), f"{number}: {tests}"
        found.append(Line(number, what.strip(), said["state"], said["missing"] or "", named))
    return tuple(found)


def _documents() -> list[Path]:
    return [path for path in files() if path.suffix == ".md" and path.parts[0] not in {"tests", "requirements"}]


@cache
def _tests_in(file: str) -> frozenset[str]:
    """The names of the tests of a file, those in a class with its name before them."""
    if not (ROOT / file).is_file():
        return frozenset()
    found: set[str] = set()
    for node in tree_of(Path(file)).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for each in inner:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
                found.add(prefix + each.name)
    return frozenset(found)


def _numbers_cited(path: Path) -> set[str]:
    text = _LINTER.sub("", text_of(path))
    return {*_CITED.findall(text), *(found.upper() for found in _CITED_IN_A_NAME.findall(text))}


@pytest.mark.parametrize("document", NUMBERS)
def test_every_number_has_one_line_in_order(document: str) -> None:
    assert [line.number for line in _lines(document)] == NUMBERS[document]


@pytest.mark.parametrize("document", NUMBERS)
def test_every_line_says_what_and_how_far(document: str) -> None:
    """What is built is shown by a test, what is not there by none, and what is partly there says what is missing."""
    for line in _lines(document):
        assert line.what, line.number
        assert line.state in STATES, line.number
        assert bool(line.missing) == (line.state == "partly"), line.number
        assert line.tests or line.state != "built", line.number
        assert not line.tests or line.state != "not yet", line.number


@pytest.mark.parametrize("document", NUMBERS)
def test_the_sums_above_the_tables_are_right(document: str) -> None:
    states = [line.state for line in _lines(document)]
    said = _SUMS.findall(text_of(Path(f"docs/{document}.md")))
    assert said == [(str(len(states)), *(str(states.count(state)) for state in STATES))]


def test_every_test_that_a_document_names_exists() -> None:
    named = {(str(path), file, name) for path in _documents() for file, name, _ in _TEST.findall(text_of(path))}
    assert len(named) > 100
    assert sorted(line for line in named if line[2] not in _tests_in(line[1])) == []


def test_every_number_that_is_cited_has_its_line() -> None:
    known = set(chain.from_iterable(NUMBERS.values())) | NOT_OURS
    paths = [*python_files(), *python_files("tests"), *_documents()]
    foreign = {str(path): sorted(_numbers_cited(path) - known) for path in paths if path != THIS}
    assert {path: numbers for path, numbers in foreign.items() if numbers} == {}


def test_no_number_that_tests_cite_is_said_to_be_not_there() -> None:
    absent = {line.number for document in NUMBERS for line in _lines(document) if line.state == "not yet"}
    cited = {
        (number, str(path))
        for path in python_files("tests")
        if path.name.startswith("test_") and path != THIS
        for number in _numbers_cited(path) & absent
    }
    assert cited == set()


def test_every_link_between_documents_leads_somewhere() -> None:
    links = {(path, target) for path in _documents() for target in _LINK.findall(text_of(path))}
    ours = {(path, target) for path, target in links if "://" not in target}
    assert {(str(path), target) for path, target in ours if not (ROOT / path.parent / target).exists()} == set()


def test_the_readme_leads_to_every_list_of_numbers() -> None:
    links = set(_LINK.findall(text_of(Path("README.md"))))
    assert {f"docs/{document}.md" for document in NUMBERS} <= links


def test_the_example_has_every_setting_with_its_default_and_nothing_else() -> None:
    given = dict(re.findall(rf"^{PREFIX}(\w+)=(.*)$", text_of(Path(".env.example")), re.MULTILINE))
    settings = {field.name.upper(): field for field in msgspec.structs.fields(Settings)}
    assert set(given) == set(settings)
    optional = {name: field for name, field in settings.items() if not field.required}
    assert {name: msgspec.convert(given[name], field.type, strict=False) for name, field in optional.items()} == {
        name: field.default for name, field in optional.items()
    }


def test_every_setting_that_a_document_names_exists() -> None:
    known = {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings)}
    named = {(str(path), name) for path in _documents() for name in re.findall(rf"{PREFIX}[A-Z_]+\b", text_of(path))}
    assert {line for line in named if line[1].removesuffix("_FILE") not in known} == set()


def test_every_metric_is_explained_and_every_metric_named_exists() -> None:
    counted = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    known = {
        family.name + ("_total" if family.type == "counter" else "")
        for metric in counted
        for family in metric.collect()
    }
    named = {name for path in _documents() for name in re.findall(r"`(billing_[a-z_]+)[`{]", text_of(path))}
    assert named == known


async def test_the_work_of_the_operators_page_is_the_work_there_is() -> None:
    services = build(load(PLACE))
    rows = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (\w+) \|", text_of(Path("docs/operations.md")), re.MULTILINE)
    try:
        assert sorted(rows) == sorted((work.name, work.queue) for work in services.works)
    finally:
        await services.close()


def test_every_command_that_a_document_names_exists() -> None:
    named = {(str(path), name) for path in _documents() for name in re.findall(r"`billing ([a-z]+)", text_of(path))}
    assert {line for line in named if line[1] not in main.commands} == set()


def test_the_fallback_page_tells_the_codes_and_figures_of_the_code() -> None:
    text = text_of(Path("docs/fallback.md"))
    rows = re.findall(r"^\| [\d, ]+ \| (`[^|]*`) \|", text, re.MULTILINE)
    codes = set(chain.from_iterable(re.findall(r"`(\w+)`", row) for row in rows))
    assert {"store_unavailable", "rate_limited", "unknown_feature"} <= codes
    assert codes - set(CATALOGUE) == set()
    assert f"at most {answers.LONGEST_KEPT} s, never past `valid_until`" in text
    assert f"at most {answers.LONGEST_REFUSED} s, never past `valid_until`" in text
    assert f"| `stale-if-error` | {answers.KEPT_IN_OUTAGE}:" in text
    assert f"Keys are kept for {idempotency.KEPT.total_seconds() / 3600:.0f} hours" in text


@pytest.mark.slow
async def test_the_queries_of_the_operators_page_fit_the_schema(database: Database) -> None:
    """They are only planned, not run. What a person puts in is an id here."""
    text = text_of(Path("docs/operations.md"))
    blocks = chain.from_iterable(block.split(";") for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL))
    inline = re.findall(r"`((?:select|update|delete)\s[^`]+)`", text)
    queries = [query.strip().replace("(…)", "('…')").replace("…", str(UUID(int=0))) for query in (*blocks, *inline)]
    assert len(queries) > 8
    async with database.begin() as session:
        for query in filter(None, queries):
            await session.execute(sqlalchemy.text(f"explain {query.replace(':', chr(92) + ':')}"))
