"""The other hot paths, each in a file of its own that answers its rows: intake of webhooks, sweep, import."""

from importlib import import_module
from importlib.util import find_spec

from tests.benchmarks.answering import say
from tests.benchmarks.place import Place
from tests.benchmarks.tables import Section

PATHS = ("intake", "sweep", "importing")


async def sections(place: Place) -> list[Section]:
    """A table for each; they make databases of their own beside the one that answers are read from."""
    told: list[Section] = []
    for name in PATHS:
        if find_spec(f"tests.benchmarks.{name}") is not None:
            told.append(Section(name, await import_module(f"tests.benchmarks.{name}").rows(place)))
            say(name)
    return told
