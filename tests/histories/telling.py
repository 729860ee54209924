"""Six families whose histories every planted defect shows in: `python -m tests.histories.telling SOCKETS NAME` lives
through them on a running PostgreSQL, in a database of that name, and prints what is wrong with the tree it runs in."""

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import quote

import structlog
import uvloop

from billing.sandbox.postgres import SUPERUSER, EmbeddedPostgres
from tests.histories.stories import Step, Story
from tests.histories.test_generated import lived


class Reached(NamedTuple):
    """A PostgreSQL that another process started, by its folder of sockets."""

    socket_folder: Path

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://{SUPERUSER}@/{database}?host={quote(str(self.socket_folder), safe='/')}"


def _click(buyer: int = 0) -> Step:
    return Step(tick=0, what="click", buyer=buyer, page=buyer, pupils=(0,))


def _pay(buyer: int = 0, how: str = "card", outcome: str = "succeeded") -> Step:
    return Step(tick=0, what="pay", buyer=buyer, page=buyer, how=how, outcome=outcome)


LIVES: dict[str, tuple[Step, ...]] = {
    "paid": (_click(), _pay()),
    "waits for the bank": (_click(), _pay(how="blik", outcome="pending")),
    "withdraws": (_click(), _pay(), Step(tick=2, what="withdraw")),
    "withdraws before the bank says yes": (
        _click(),
        _pay(how="p24", outcome="pending"),
        Step(tick=1, what="withdraw"),
        Step(tick=2, what="settle", outcome="succeeded"),
    ),
    "withdraws, and the bank gives nothing back; then leaves": (
        _click(),
        _pay(),
        Step(tick=2, what="refunds", outcome="failed"),
        Step(tick=2, what="withdraw"),
        Step(tick=4, what="erase"),
    ),
    "two parents": (_click(), _click(buyer=1), _pay(), _pay(buyer=1)),
}


def stories() -> list[Story]:
    return [Story(number=number, pupils=1, steps=steps) for number, steps in enumerate(LIVES.values())]


def main(sockets: str, name: str) -> int:
    """0 when nothing is wrong, 3 when something is."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False,
    )  # fmt: skip
    postgres = cast("EmbeddedPostgres", Reached(Path(sockets)))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        wrong = runner.run(lived(postgres, stories(), 1, 0, name))
    sys.stdout.writelines(f"{number} {words}\n" for number, words in wrong)
    return 3 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
