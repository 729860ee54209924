"""The other hot paths, each in a file of its own that answers its rows: intake of webhooks, sweep, import."""

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from tests.benchmarks import importing, intake, sweep
from tests.benchmarks.answering import say
from tests.benchmarks.place import Place, Row
from tests.benchmarks.tables import Section

PATHS: Final[dict[str, Callable[[Place], Awaitable[list[Row]]]]] = {
    "intake": intake.rows,
    "sweep": sweep.rows,
    "importing": importing.rows,
}


async def sections(place: Place, wanted: Collection[str]) -> list[Section]:
    """A table for each; they make databases of their own beside the one that answers are read from."""
    told: list[Section] = []
    for name, rows in PATHS.items():
        if name in wanted:
            told.append(Section(name, await rows(place)))
            say(name)
    return told
