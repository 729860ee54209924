"""The operator's commands about the books: what they say of a period."""

import calendar
from datetime import date

import rich_click as click
from rich.console import Console
from rich.table import Column, Table

from billing.cli_running import with_services
from billing.ledger import reports
from billing.ledger.reports import Deferred
from billing.wiring import Services

out = Console(soft_wrap=True, highlight=False, width=200)
_MONEY = ("sold", "undone", "earned", "deferred")


@click.group()
def report() -> None:
    """What the books say of a period.

    Example: `billing report deferred --month 2026-12`
    """


@report.command("deferred")
@click.option("--month", "first", required=True, metavar="YYYY-MM", help="The month, told day by day.")
@click.option("--to", "last", metavar="YYYY-MM", help="The last of several months; then told month by month.")
def report_deferred(first: str, last: str | None) -> None:
    """Tell what is paid and not yet rendered, net: sold ahead, undone by refunds, earned, and still owed as service.

    Example: `billing report deferred --month 2026-09 --to 2027-06`
    """
    since, until = _month(first, "--month"), _month(last or first, "--to")
    if until < since:
        raise click.BadParameter(f"{last} is before {first}", param_hint="--to")
    end = until.replace(day=calendar.monthrange(until.year, until.month)[1])

    async def read(services: Services) -> list[Deferred]:
        async with services.database.begin() as session:
            return await told(session, since, end)

    told = reports.deferred if last is None else reports.by_month
    entries = with_services(read)
    table = Table("from", "to", *(Column(name, justify="right") for name in _MONEY))
    for entry in entries:
        money = (entry.sold, entry.undone, entry.earned, entry.deferred)
        table.add_row(f"{entry.first}", f"{entry.last}", *map(_zloty, money))
    out.print(table)


def _month(text: str, option: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a month, as in 2026-12", param_hint=option) from None


def _zloty(grosz: int) -> str:
    zloty, rest = divmod(abs(grosz), 100)
    return f"{'-' if grosz < 0 else ''}{zloty}.{rest:02d}"
