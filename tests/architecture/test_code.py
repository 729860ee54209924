"""Rules of the code that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import calls, functions, python_files, tree_of

NETWORK = frozenset(
    {"Gateway", "StripeGateway", "Books", "StripeBooks", "Mailer", "SmtpMailer", "PostOffice", "AsyncClient", "Client"}
)
NETWORK_NAMES = re.compile(r"\b(gateway|mailer|client|smtp|http)\b")

BROAD_CATCHES = {
    "billing/cli_checks.py:_run": "whatever is wrong is what this command is for",
    "billing/kernel/outbox.py:_consume": "a poison message delays no other; it is counted, logged and parked (I24)",
    "billing/kernel/work.py:one_by_one": "one bad piece of work delays no other; it is logged and put off (I24)",
    "billing/worker.py:create_celery.run": "a failing piece of work must not kill the worker; the sweep tries again",
    "entitlements/hot.py:HotDoor._told": "nothing is sent yet: it is logged, and the typed route answers",
    "entitlements/hot_batch.py:HotBatch._told": "nothing is sent yet: it is logged, and the typed route answers",
    "entitlements/snapshot/keeping.py:Keeping.run": "whatever broke the keeper, it is logged, counted, and begins anew",
    "webhooks/handling.py:_handle": "a poison event delays no other; it is counted, logged and parked (I24)",
    "billing/sandbox/postgres.py:EmbeddedPostgres.start": "a server half started is stopped, and the fault told",
    "billing/sandbox/valkey.py:EmbeddedValkey.start": "a server half started is stopped, and the fault told",
    "billing/sandbox/stripe/api.py:Api._execute": "a bug of the stand-in must look like a 500 of theirs",
    "billing/sandbox/stripe/standin.py:StripeStandIn._deliver_or_say_so": "said aloud, and tried again",
    "billing/sandbox/stripe/store.py:Store.transaction": "rolls back, and raises again",
}

CLOCK_READERS = ("billing/kernel/clock.py",)
CLOCKS = re.compile(
    r"(^|\.)(datetime\.now|datetime\.utcnow|datetime\.today|date\.today|time\.time|time\.time_ns|gmtime|localtime)$|"
    r"^func\.(now|current_timestamp|current_date|localtimestamp|transaction_timestamp|statement_timestamp)$"
)
DATABASE_CLOCKS = re.compile(r"\b(now\(\)|current_timestamp|current_date|localtimestamp)\b", re.IGNORECASE)

BUILT_SQL = {
    "billing/finance/queries/sql.py": "the name of a column of ours, given by the code",
    "billing/migrations/versions/0002_guards.py": "names of our own tables, listed beside it",
    "billing/sandbox/postgres.py": "names of databases the sandbox makes for itself",
}
SECONDS = ("billing/payments/stripe_gateway.py", "billing/finance/openid.py")
MONEY_ROOMS = ("catalog", "checkout", "ledger", "payments", "subscriptions", "withdrawals", "sponsorships", "finance")


def test_a_function_takes_the_session_or_the_network_never_both() -> None:
    """Nobody can call the network inside a transaction who was not given both."""
    both = [
        f"{path}:{name}"
        for path in python_files()
        for name, function in functions(path)
        if {"AsyncSession"} & (names := _annotated(function)) and names & NETWORK
    ]
    assert both == []


def _annotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    words = (re.findall(r"\w+", ast.unparse(given.annotation)) for given in arguments if given.annotation is not None)
    return {word for found in words for word in found}


def test_no_network_is_asked_while_a_unit_of_work_is_open() -> None:
    asked = [
        f"{path}:{inner.lineno} {ast.unparse(inner.value.func)}"
        for path in python_files()
        if "sandbox" not in path.parts
        for block in ast.walk(tree_of(path))
        if isinstance(block, ast.AsyncWith) and any("begin()" in ast.unparse(item.context_expr) for item in block.items)
        for statement in block.body
        for inner in ast.walk(statement)
        if isinstance(inner, ast.Await) and isinstance(inner.value, ast.Call)
        and NETWORK_NAMES.search(ast.unparse(inner.value.func))
    ]  # fmt: skip
    assert asked == []


def test_nobody_reads_the_clock_but_the_clock() -> None:
    """R130: everything else is given its instant. Durations (perf_counter, monotonic) are not instants."""
    readers = {
        f"{path}:{call.lineno} {name}"
        for path in python_files()
        if str(path) not in CLOCK_READERS
        for name, call in calls(path)
        if CLOCKS.search(name)
    }
    assert readers == set()


def test_no_statement_reads_the_databases_clock() -> None:
    """The machine of the database has a clock of its own; a moved clock would not move it (R130)."""
    statements = {
        f"{path}:{line} {text[:60]}"
        for path in python_files()
        for line, text in _strings(path)
        if DATABASE_CLOCKS.search(text) and re.search(r"\b(select|insert|update|delete|where)\b", text)
    }
    assert statements == set()


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_every_broad_catch_is_listed_with_its_reason() -> None:
    found = {
        f"{path}:{name}"
        for path in python_files()
        for name, function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and _owner(path, node) is function
    }
    assert found == set(BROAD_CATCHES)


def _is_broad(node: ast.ExceptHandler) -> bool:
    return node.type is None or bool(re.search(r"\b(Exception|BaseException)\b", ast.unparse(node.type)))


def _owner(path: Path, node: ast.AST) -> ast.AST | None:
    """The innermost function around a node."""
    around = [function for _, function in functions(path) if any(inner is node for inner in ast.walk(function))]
    return around[-1] if around else None


def test_no_broad_catch_passes_in_silence() -> None:
    silent = [
        f"{path}:{node.lineno}"
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and isinstance(node.body[0], ast.Pass)
    ]
    assert silent == []


def test_no_sql_is_built_from_strings() -> None:
    """S-numbers of injection: statements are SQLAlchemy's or constants; values are always bound."""
    doers = re.compile(r"(^|\.)(text|execute|exec_driver_sql|literal_column|fetch|fetchval|fetchrow|executemany)$")
    built = {
        f"{path}:{call.lineno}"
        for path in python_files()
        if str(path) not in BUILT_SQL
        for name, call in calls(path)
        if doers.search(name) and call.args and _is_built(call.args[0]) and (name != "text" or _knows_sql(path))
    }
    assert built == set()


def _knows_sql(path: Path) -> bool:
    """Whether `text` is SQLAlchemy's here, and not a paragraph of a letter."""
    imported = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
    return any(f"{node.module}".startswith("sqlalchemy") for node in imported for a in node.names if a.name == "text")


def _is_built(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mod | ast.Add) and any(
            isinstance(side, ast.Constant | ast.JoinedStr) for side in (node.left, node.right)
        )
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".format", ".join"))


def test_no_float_comes_near_money() -> None:
    """I16: in the rooms that count grosz there is no float, and no division but the whole one. The two
    files that call others know seconds of waiting."""
    found = [
        f"{path}:{getattr(node, 'lineno', 0)} {ast.unparse(node)}"
        for path in python_files()
        if (path.parts[1] in MONEY_ROOMS or path.name == "money.py") and str(path) not in SECONDS
        for node in ast.walk(tree_of(path))
        if _is_float(node)
    ]
    assert found == []


def _is_float(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.Name):
        return node.id == "float"
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not _is_path(node)


def _is_path(node: ast.BinOp) -> bool:
    sides = (ast.unparse(node.left), ast.unparse(node.right))
    return any(re.search(r"^(Path|files)\(|_TEMPLATES|FOLDER|STATIC|parent|f?['\"]", side) for side in sides)
