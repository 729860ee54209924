"""What an operation is: method, path, what it takes, what it does."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from billing.sandbox.stripe.books import Books
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.params import EXPAND, Rule, Rules, integer, text

Run = Callable[[Books, Json, Mapping[str, str]], Json]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table: ``run`` gets the books, the parsed parameters and the names in the path."""

    method: str
    path: str
    pattern: re.Pattern[str]
    rules: Rules
    required: tuple[str, ...]
    run: Run


def operation(
    method: str, path: str, run: Run, rules: Rules | None = None, required: tuple[str, ...] = ()
) -> Operation:
    """An operation; ``{name}`` in the path catches one segment. What is deleted cannot be expanded."""
    pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")
    taken = {**(rules or {}), **({} if method == "DELETE" else {"expand": EXPAND})}
    return Operation(method, path, pattern, taken, required, run)


LIST: Mapping[str, Rule] = {"limit": integer(1, 100), "starting_after": text(), "ending_before": text()}
"""What every list takes."""
