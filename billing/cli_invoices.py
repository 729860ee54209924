"""The operator's commands about invoices: what waits, handing it over, what became of it, the sales of a month."""

import calendar
from datetime import date

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from billing.cli_running import with_services
from billing.finance.csv_text import BOM, Cell, Grosz, lines
from billing.invoices import handing, selling, service
from billing.invoices.documents import InvoiceDocument, Seller
from billing.invoices.rules import PATHS, Path
from billing.invoices.selling import Sold
from billing.kernel.days import day_of
from billing.wiring import Services

ACTOR = "operator"
_HEADER = ("date", "order", "payment", "fact", "VAT rate", "net", "VAT", "gross", "JPK", "number", "awaits correction")

out = Console(soft_wrap=True, highlight=False, width=200)


@click.group()
def invoices() -> None:
    """Requests for invoices, and the sales of a month.

    Example: `billing invoices waiting`
    """


@invoices.command("waiting")
def invoices_waiting() -> None:
    """List what is neither issued nor refused, the nearest due first.

    Example: `billing invoices waiting`
    """

    async def read(services: Services) -> list[tuple[str, ...]]:
        today = day_of(services.clock.now())
        async with services.database.begin() as session:
            return [
                (service.invoice_id(row), row.kind, row.state, row.order_id, f"{row.due_on}", _left(row.due_on, today))
                for row in await service.waiting(session)
            ]

    table = Table("id", "kind", "state", "order", "due", "days left")
    for row in with_services(read):
        table.add_row(*row)
    out.print(table)


def _left(due_on: date, today: date) -> str:
    days = (due_on - today).days
    return f"{days}" if days >= 0 else f"{days} LATE"


@invoices.command("hand-over")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
def invoices_hand_over(limit: int) -> None:
    """Print the documents of requests that wait, one JSON a line, and mark them as handed over.

    Example: `billing invoices hand-over > to-issue.ndjson`
    """

    async def take(services: Services) -> list[InvoiceDocument]:
        facts = services.catalogue.seller
        seller = Seller(nip=facts.nip, name=facts.name, address=facts.address)
        async with services.database.begin() as session:
            return await handing.hand_over(session, seller, services.site.secret, services.clock.now(), limit)

    for document in with_services(take):
        click.echo(msgspec.json.encode(document).decode())


@invoices.command("issued")
@click.argument("invoice")
@click.option("--number", required=True, help="The invoice's own number.")
@click.option("--path", "path", required=True, type=click.Choice(PATHS), help="Where it was issued.")
@click.option("--ksef-number", help="The number KSeF gave it; needed for --path ksef, and for nothing else.")
@click.option("--on", "issued_on", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day of issue.")
def invoices_issued(invoice: str, number: str, path: Path, ksef_number: str | None, issued_on: date) -> None:
    """Note that an invoice is issued. It cannot be taken back: an issued invoice is only ever corrected.

    Example: `billing invoices issued inv_01k… --number FV/12/2026 --path consumer --on 2026-12-10`
    """
    on = date(issued_on.year, issued_on.month, issued_on.day)

    async def note(services: Services) -> None:
        async with services.database.begin() as session:
            await service.issued(session, invoice, path, number, ksef_number, on, ACTOR, services.clock.now())

    with_services(note)
    click.echo(f"{invoice} is issued.")


@invoices.command("refuse")
@click.argument("invoice")
@click.option("--reason", required=True)
def invoices_refuse(invoice: str, reason: str) -> None:
    """Refuse a request; the buyer's data are deleted from it.

    Example: `billing invoices refuse inv_01k… --reason "asked for the wrong order"`
    """

    async def note(services: Services) -> None:
        async with services.database.begin() as session:
            await service.refuse(session, invoice, reason, ACTOR, services.clock.now())

    with_services(note)
    click.echo(f"{invoice} is refused.")


@invoices.command("sales")
@click.option("--month", required=True, type=click.DateTime(["%Y-%m"]), help="YYYY-MM")
def invoices_sales(month: date) -> None:
    """Print the sales of a month as CSV: each row with its JPK marker, the last line the sums, equal to the ledger's.

    Example: `billing invoices sales --month 2026-11 > sales.csv`
    """
    first = date(month.year, month.month, 1)
    last = first.replace(day=calendar.monthrange(first.year, first.month)[1])

    async def read(services: Services) -> list[Sold]:
        async with services.database.begin() as session:
            return await selling.sold_in(session, first, last)

    click.echo(sales_csv(with_services(read)), nl=False)


def sales_csv(rows: list[Sold]) -> str:
    """The list as Polish Excel opens it right (R116)."""
    cells: list[tuple[Cell, ...]] = [_HEADER, *map(_cells, rows)]
    sums = (sum(row.net for row in rows), sum(row.vat for row in rows), sum(row.gross for row in rows))
    cells.append(("sum", None, None, None, None, *map(Grosz, sums), None, None, None))
    return BOM + lines(cells)


def _cells(row: Sold) -> tuple[Cell, ...]:
    facts = (row.on, row.order, row.payment, row.cause, f"{row.rate_percent}%")
    money = (Grosz(row.net), Grosz(row.vat), Grosz(row.gross))
    return (*facts, *money, row.marker, row.number, "yes" if row.awaits else "")
