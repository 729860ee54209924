"""`billing import accounts FILE`: many accounts and pupils at once, with the same result as the routes."""

import sys
from collections.abc import Callable
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from billing.cli_running import with_services
from billing.trials import importing
from billing.trials.arriving import Terms
from billing.trials.importing import Tally
from billing.wiring import Services

_SHOWN = (
    ("lines taken", "lines"),
    ("lines refused", "failed"),
    ("accounts registered", "accounts_added"),
    ("accounts changed", "accounts_changed"),
    ("pupils linked", "links_added"),
    ("trials begun", "trials_begun"),
)


@click.group("import")
def import_group() -> None:
    """Taking in what another system knows.

    Example: `billing import accounts accounts.ndjson --dry-run`
    """


@import_group.command("accounts")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Change nothing: check every line, and tell what would be done.")
@click.option("--failures", type=click.Path(path_type=Path, dir_okay=False),
              help="Where refused lines are named. Default: FILE with .failures.ndjson")  # fmt: skip
def import_accounts(file: Path, *, dry_run: bool, failures: Path | None) -> None:
    """Take in accounts, and the pupils linked to them, from FILE: .ndjson, or .csv with a header.

    Each line does what PUT of its account and then of its pupil would do; unconfirmed addresses are written to.
    Columns: account, email, kind, age_band, locale, guardian_email, email_confirmed, pupil, school. Broken off, it goes
    on where it stopped; a file that is done changes nothing. Exit 1 where lines were refused.

    Example: `billing import accounts accounts.csv --dry-run`
    """
    ticked: list[int] = []
    bad = failures or file.with_name(f"{file.name}.failures.ndjson")

    async def take(services: Services) -> Tally:
        terms = Terms(catalogue=services.catalogue, secret=services.site.secret)
        with _bar() as bar:
            tick = _ticking(bar, file.stat().st_size, ticked)
            if dry_run:
                return await importing.foresee(services.database, services.clock, terms, file, bad, tick)
            return await importing.run(services.database, services.clock, terms, file, bad, tick)

    tally = with_services(take)
    if not ticked:
        click.echo("This file is done already; this came of it.", err=True)
    for words, name in _SHOWN:
        click.echo(f"{words + ':':<21}{getattr(tally, name):>12}")
    if tally.failed:
        click.echo(f"Refused lines are named in {bad}.", err=True)
        sys.exit(1)


def _bar() -> Progress:
    return Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _ticking(bar: Progress, size: int, ticked: list[int]) -> Callable[[Tally], None]:
    task = bar.add_task("bytes", total=size)

    def tick(tally: Tally) -> None:
        ticked.append(tally.number)
        bar.update(task, completed=tally.end, description=f"{tally.lines + tally.failed} lines")

    return tick
