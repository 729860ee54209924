"""`billing reconcile`: what Stripe has and what we have, side by side; told, or acted upon."""

import sys
from datetime import UTC, date, datetime

import rich_click as click
from rich.console import Console
from rich.table import Column, Table

from billing.cli_running import with_services
from billing.kernel.days import start_of
from billing.kernel.errors import BillingError
from billing.reconciliation import comparing, runs
from billing.reconciliation.comparing import Look, Scope
from billing.reconciliation.rules import AT_ONCE, RECENT
from billing.reconciliation.values import Finding
from billing.wiring import Services

out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 200)


@click.command()
@click.option(
    "--since", "day", metavar="DAY", help="From this Warsaw day on, as 2026-11-21; three days back by default."
)
@click.option("--account", help="Everything about one account instead, whenever it was.")
@click.option("--apply", "is_applied", is_flag=True, help="Grant what is paid and open cases; without it only tell.")
def reconcile(day: str | None, account: str | None, *, is_applied: bool) -> None:
    """Compare Stripe's books with ours, in both directions. Exit code 0: nothing differs; 1: something does.

    Without --apply nothing is written. With it, what is paid there and not active here is granted at once; everything
    else becomes a case, which people decide. Pages that nobody paid are no difference. Amounts are in grosz.

    Example: `billing reconcile --since 2026-11-21 --apply`
    """
    since = None if day is None else _start(day)
    if since is not None and account is not None:
        raise click.UsageError("--since and --account exclude each other")

    async def compare(services: Services) -> Look:
        at = services.clock.now()
        scope = Scope(since=since or at - RECENT, account=account)
        if not is_applied:
            return await comparing.tell(services.database, services.gateway, scope, at)
        return await _act(services, scope, at)

    found = with_services(compare)
    _print(found, is_applied=is_applied)
    sys.exit(1 if found.findings or found.left else 0)


async def _act(services: Services, scope: Scope, at: datetime) -> Look:
    """A look that is written down, like those that are made by themselves."""
    async with services.database.begin() as session:
        begun = await runs.begin(session, "on_demand", scope.since, at)
    try:
        found = await comparing.look(services.database, services.gateway, scope, at)
    except BillingError as fault:
        async with services.database.begin() as session:
            await runs.fail(session, begun, type(fault).__name__, at)
        raise
    async with services.database.begin() as session:
        await runs.end(session, begun, found.counts, at)
    return found


def _start(text: str) -> datetime:
    try:
        return start_of(date.fromisoformat(text)).astimezone(UTC)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no day", param_hint="--since") from None


def _print(found: Look, *, is_applied: bool) -> None:
    rows = [(each, "done") for each in found.done]
    rows += [(each, "later") for each in found.left]
    rows += [(each, _fate(each, is_applied=is_applied)) for each in found.findings]
    if rows:
        table = Table(Column("what", no_wrap=True), "cause", "severity", "order", "at Stripe", "here", "there", "then")
        for each, fate in rows:
            table.add_row(
                each.kind, each.cause, each.severity, each.order or "", each.subject, _word(each.here),
                _word(each.there), fate,
            )  # fmt: skip
        out.print(table)
    counts = found.counts
    click.echo(
        f"{counts.compared} compared, {counts.granted} granted, {counts.caught_up} caught up, "
        f"{len(found.findings)} open, {counts.not_ours} not ours, {counts.abandoned} abandoned."
    )


def _fate(finding: Finding, *, is_applied: bool) -> str:
    if is_applied:
        return "case"
    return "would be done" if finding.proposal in AT_ONCE else f"would be a case: {finding.proposal}"


def _word(said: int | str | None) -> str:
    return "" if said is None else str(said)
