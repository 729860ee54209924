"""The commands of whoever is called at night: what was given up, and once more."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import rich_click as click
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cli_running import with_services
from billing.kernel import outbox, parking
from billing.kernel.days import iso
from billing.kernel.errors import NotFound
from billing.kernel.parking import Parked, Sort
from billing.notices import tasks as letters
from billing.wiring import Services
from webhooks import service as inbox

SORTS: Final[dict[str, Sort]] = {sort.name: sort for sort in (inbox.PARKED, outbox.PARKED, letters.PARKED)}
_WIDTH: Final = 160


@click.command()
def parked() -> None:
    """Tell what was tried too often and waits for people: events, messages, letters. Changes nothing.

    Exit code 1 when there is anything. `billing retry` tries it again.

    Example: `billing parked`
    """

    async def read(services: Services) -> list[tuple[list[Parked], int]]:
        async with services.database.begin() as session:
            return [await parking.parked(session, sort) for sort in SORTS.values()]

    found = with_services(read)
    _show([piece for pieces, _ in found for piece in pieces])
    counts = dict(zip(SORTS, (count for _, count in found), strict=True))
    click.echo("Parked: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    sys.exit(1 if any(counts.values()) else 0)


def _show(pieces: Sequence[Parked]) -> None:
    if not pieces:
        return
    table = Table("what", Column("id", no_wrap=True), "kind", Column("why", overflow="fold"), "since")
    for piece in pieces:
        table.add_row(piece.sort, piece.id, piece.kind, piece.why, iso(piece.since))
    Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _WIDTH).print(table)


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "sort", type=click.Choice(list(SORTS)), help="All of a sort instead.")
def retry(ids: tuple[str, ...], sort: str | None) -> None:
    """Try again what was given up, by the ids that `billing parked` tells, once its cause is mended.

    All of them or none. No effect happens twice. A letter that the mail server may have taken already is never sent
    again; an event that nobody can read is never handled.

    Example: `billing retry ntc_01k8x7k3v5e8t9m2q4r6s8w0yz`
    """
    if bool(ids) == bool(sort):
        raise click.UsageError("name what to try again: either ids, or --all of a sort")

    async def again(services: Services) -> int:
        at = services.clock.now()
        async with services.database.begin() as session:
            if sort is not None:
                return len(await parking.try_again(session, SORTS[sort], at))
            return await _each(session, set(ids), at)

    many = with_services(again)
    click.echo(f"{many} tried again; a worker does it within 30 seconds.")


async def _each(session: AsyncSession, ids: set[str], at: datetime) -> int:
    """Raises NotFound that names every id of which nothing is parked."""
    done: set[str] = set()
    for sort in SORTS.values():
        done |= await parking.try_again(session, sort, at, [each for each in ids if _is_of(sort, each)])
    if done != ids:
        raise NotFound(f"Nothing that may be tried again is parked as {', '.join(sorted(ids - done))}.")
    return len(done)


def _is_of(sort: Sort, text: str) -> bool:
    try:
        sort.read(text)
    except (ValueError, NotFound):
        return False
    return True
