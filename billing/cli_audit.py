"""`billing audit`: everything that must always hold, asked of the database now. Reads only."""

import sys
from collections.abc import Sequence

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Column, Table

from billing.cli_running import with_services
from billing.invariants import service
from billing.invariants.rules import Finding
from billing.wiring import Services

_WIDTH = 160


@click.command()
@click.option("--json", "as_json", is_flag=True, help="All queries with what they found, for programs.")
def audit(*, as_json: bool) -> None:
    """Ask whether what must always hold holds: rights and money, refunds, states, letters. Reports, never repairs.

    Exit code 1 when something does not hold. What happened within the last 15 minutes may still be on its way.

    Example: `billing audit`
    """

    async def asked(services: Services) -> tuple[Finding, ...]:
        async with services.database.begin() as session:
            return await service.ask(session, services.clock.now())

    findings = with_services(asked)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        _show(findings)
    sys.exit(1 if service.broken(findings) else 0)


def _show(findings: Sequence[Finding]) -> None:
    wrong = service.broken(findings)
    table = Table(Column("No."), Column("Broken", overflow="fold"), Column("Found", overflow="fold"))
    for finding in wrong:
        rows = [", ".join(f"{name} {value}" for name, value in row.items()) for row in finding.rows]
        more = ["…"] if finding.has_more else []
        table.add_row(finding.number, f"{finding.title}\n{finding.means}", "\n".join(rows + more))
    if wrong:
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)
    click.echo(f"{len(findings)} queries, {len(findings) - len(wrong)} hold, {len(wrong)} do not.")
