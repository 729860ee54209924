"""`billing`, the operator's tool. Exit codes: 0 done, 1 failed, 2 usage, 78 wrong configuration (all faults)."""

import os
import sys
from functools import partial
from pathlib import Path

import msgspec
import rich_click as click

from billing.catalog.service import remember_prices
from billing.cli_audit import audit
from billing.cli_checks import CHECKS, run_checks
from billing.cli_groups import catalog, keys_group
from billing.cli_import import import_group
from billing.cli_invoices import invoices
from billing.cli_parked import parked, retry
from billing.cli_reconcile import reconcile
from billing.cli_reports import report
from billing.cli_running import settings_or_exit, with_services
from billing.cli_support import explain, replay
from billing.kernel.serving import serve as run_server
from billing.kernel.settings import shown
from billing.migrations.run import upgrade
from billing.wiring import Services


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mobile-addons-billing")
def main() -> None:
    """Subscriptions, billing and entitlements for paid mobile add-ons.

    Example: `billing check`
    """


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=int)
@click.option("--only", type=click.Choice(["entitlements"]), help="A part alone: answers to the app's backend.")
def serve(host: str, port: int, only: str | None) -> None:
    """Run the web application.

    Example: `billing serve --host 0.0.0.0 --port 8080`
    """
    if only is not None:  # a process of its own, into which nothing of the rest was ever loaded
        os.execv(sys.executable, [sys.executable, "-m", only, "--host", host, "--port", str(port)])  # noqa: S606
    run_server("billing.app:create", host, port, settings_or_exit().web_workers)


@main.command()
@click.option(
    "--queue", "queues", multiple=True, help="Only these queues: webhooks, provider, notices, bulk. Default: all."
)
@click.option("--concurrency", default=2, show_default=True, type=int)
def worker(queues: tuple[str, ...], concurrency: int) -> None:
    """Do the work that is due, as the doorbell rings.

    Example: `billing worker --queue webhooks --concurrency 4`
    """
    from billing.worker import QUEUES, create_celery  # noqa: PLC0415 - only this command needs Celery

    settings_or_exit()
    chosen = ",".join(queues or QUEUES)
    create_celery().worker_main(
        ["--quiet", "worker", "-Q", chosen, "-c", str(concurrency), "-l", "WARNING",
         "--without-gossip", "--without-mingle", "-n", f"billing-{chosen.replace(',', '-')}@%h"]
    )  # fmt: skip


@main.command()
def beat() -> None:
    """Ring for all work every 30 seconds. Two or three of these are harmless.

    Example: `billing beat`
    """
    from billing.worker import create_celery  # noqa: PLC0415

    settings_or_exit()
    create_celery().Beat(scheduler="celery.beat:Scheduler", loglevel="WARNING", quiet=True).run()


@main.command()
def migrate() -> None:
    """Bring the database to the present schema and remember the catalogue's prices. Safe to run twice, and by two.

    Example: `billing migrate`
    """

    async def bring(services: Services) -> bool:
        await upgrade(services.settings.database_url.value)
        async with services.database.begin() as session:
            return await remember_prices(session, services.catalogue, services.clock.now())

    has_new = with_services(bring)
    click.echo(f"The schema is up to date{'; new prices are remembered' if has_new else ''}.")


@main.command()
@click.option("--only", multiple=True, type=click.Choice(tuple(CHECKS)), help="Check no more than this; repeatable.")
def check(only: tuple[str, ...]) -> None:
    """Test database, migrations, clock, prices, broker, Stripe key and version, and the mail relay.

    Example: `billing check --only database --only broker`
    """
    results = with_services(partial(run_checks, only=only))
    for result in results:
        click.echo(f"{'ok  ' if result.is_ok else 'FAIL'}  {result.name}: {result.words}")
    sys.exit(0 if all(result.is_ok for result in results) else 1)


@main.group()
def config() -> None:
    """The settings of this environment.

    Example: `billing config show`
    """


@config.command("show")
def config_show() -> None:
    """Print the settings; secrets are never printed.

    Example: `billing config show`
    """
    for name, value in shown(settings_or_exit()).items():
        click.echo(f"{name}={value}")


@main.command()
@click.option("--out", "file", type=click.Path(path_type=Path, dir_okay=False), help="Standard output by default.")
def openapi(file: Path | None) -> None:
    """Print the OpenAPI 3.1 description.

    Example: `billing openapi --out openapi.json`
    """
    from billing.openapi import description  # noqa: PLC0415 - builds the whole application

    text = msgspec.json.format(msgspec.json.encode(description()), indent=2).decode() + "\n"
    if file is None:
        click.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8")


@main.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), default=".data/sandbox", show_default=True
)
@click.option("--port", default=8080, show_default=True, type=int)
def sandbox(data_dir: Path, port: int) -> None:
    """Run the whole product on this machine, with stand-ins for what is outside it.

    Example: `billing sandbox --port 8080`
    """
    from billing.sandbox.run import run_sandbox  # noqa: PLC0415 - never imported in production

    sys.exit(run_sandbox(data_dir, port))


main.add_command(catalog)
main.add_command(keys_group)
main.add_command(audit)
main.add_command(report)
main.add_command(invoices)
main.add_command(explain)
main.add_command(replay)
main.add_command(parked)
main.add_command(retry)
main.add_command(reconcile)
main.add_command(import_group)
