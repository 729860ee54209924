"""`billing`, the operator's tool. Exit codes: 0 done, 1 failed, 2 usage, 78 wrong configuration (all faults)."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from billing.catalog.push import diff, push, told
from billing.catalog.service import load as load_catalogue
from billing.catalog.values import BadCatalogue
from billing.cli_checks import run_checks
from billing.kernel import keys
from billing.kernel.days import iso
from billing.kernel.errors import BillingError
from billing.kernel.keys import SCOPES, Scope
from billing.kernel.settings import EXIT_CONFIGURATION, BadSettings, Settings, load, shown
from billing.migrations.run import upgrade
from billing.wiring import Services, build

T = TypeVar("T")
out = Console(soft_wrap=True, highlight=False)


def _settings() -> Settings:
    try:
        return load()
    except BadSettings as fault:
        for line in fault.lines:
            click.echo(line, err=True)
        sys.exit(EXIT_CONFIGURATION)


def _with_services(do: Callable[[Services], Awaitable[T]]) -> T:
    """Run `do` on services of this environment; failures are told in a line, and exit 1."""
    settings = _settings()

    async def run() -> T:
        services = build(settings)
        try:
            return await do(services)
        finally:
            await services.close()

    try:
        return asyncio.run(run())
    except BadCatalogue as fault:
        click.echo(fault.detail, err=True)
        sys.exit(EXIT_CONFIGURATION)
    except (BillingError, OSError) as fault:
        click.echo(f"{type(fault).__name__}: {fault}", err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mobile-addons-billing")
def main() -> None:
    """Subscriptions, billing and entitlements for paid mobile add-ons.

    Example: `billing check`
    """


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=int)
def serve(host: str, port: int) -> None:
    """Run the web application.

    Example: `billing serve --host 0.0.0.0 --port 8080`
    """
    from granian import Granian  # noqa: PLC0415 - only this command serves
    from granian.constants import Interfaces, Loops  # noqa: PLC0415

    settings = _settings()
    Granian(
        "billing.app:create",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=settings.web_workers,
        loop=Loops.uvloop,
        log_access=False,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=15,
        backlog=2048,
    ).serve()


@main.command()
@click.option("--queue", "queues", multiple=True, help="Only these queues: webhooks, notices, bulk. Default: all.")
@click.option("--concurrency", default=2, show_default=True, type=int)
def worker(queues: tuple[str, ...], concurrency: int) -> None:
    """Do the work that is due, as the doorbell rings.

    Example: `billing worker --queue webhooks --concurrency 4`
    """
    from billing.worker import QUEUES, create_celery  # noqa: PLC0415 - only this command needs Celery

    _settings()
    chosen = ",".join(queues or QUEUES)
    create_celery().worker_main(
        ["worker", "-Q", chosen, "-c", str(concurrency), "-l", "WARNING", "--without-gossip", "--without-mingle",
         "-n", f"billing-{chosen.replace(',', '-')}@%h"]
    )  # fmt: skip


@main.command()
def beat() -> None:
    """Ring for all work every 30 seconds. Two or three of these are harmless.

    Example: `billing beat`
    """
    from billing.worker import create_celery  # noqa: PLC0415

    _settings()
    create_celery().Beat(scheduler="celery.beat:Scheduler", loglevel="WARNING").run()


@main.command()
def migrate() -> None:
    """Bring the database to the present schema. Safe to run twice, and by two at once.

    Example: `billing migrate`
    """
    settings = _settings()
    asyncio.run(upgrade(settings.database_url.value))
    click.echo("The schema is up to date.")


@main.command()
def check() -> None:
    """Test database, migrations, broker, Stripe key and version, SMTP and clock.

    Example: `billing check`
    """
    results = _with_services(run_checks)
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
    for name, value in shown(_settings()).items():
        click.echo(f"{name}={value}")


@main.group()
def catalog() -> None:
    """What is sold: a TOML file, checked, and pushed to Stripe.

    Example: `billing catalog check catalog.toml`
    """


@catalog.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def catalog_check(file: Path | None) -> None:
    """Check a catalogue, naming every fault.

    Example: `billing catalog check catalog.toml`
    """
    try:
        catalogue = load_catalogue(file)
    except BadCatalogue as fault:
        for line in fault.lines:
            click.echo(line, err=True)
        sys.exit(EXIT_CONFIGURATION)
    click.echo(f"Catalogue {catalogue.version}: {len(catalogue.products)} products, no faults.")


@catalog.command("diff")
def catalog_diff() -> None:
    """Tell what `push` would change at Stripe.

    Example: `billing catalog diff`
    """
    changes = _with_services(lambda services: diff(services.gateway, services.catalogue))
    click.echo("\n".join(told(changes)) or "Stripe has everything.")


@catalog.command("push")
def catalog_push() -> None:
    """Make products and prices at Stripe as the catalogue has them.

    Example: `billing catalog push`
    """
    changes = _with_services(lambda services: push(services.gateway, services.catalogue))
    click.echo("\n".join(told(changes)) or "Stripe has everything.")


@main.group("keys")
def keys_group() -> None:
    """API keys of the callers.

    Example: `billing keys create app --scope entitlements:read`
    """


@keys_group.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="Repeatable.")
@click.option("--expires", type=click.DateTime(), help="UTC; never by default.")
def keys_create(name: str, scopes: tuple[str, ...], expires: datetime | None) -> None:
    """Make a key and print it, this once.

    Example: `billing keys create app --scope entitlements:read --scope accounts:write`
    """

    async def make(services: Services) -> tuple[str, str]:
        is_live = services.settings.stripe_api_key.value.startswith(("sk_live_", "rk_live_"))
        at = services.clock.now()
        async with services.database.begin() as session:
            return keys.create_key(
                session,
                at,
                name,
                cast("tuple[Scope, ...]", scopes),
                mode="live" if is_live else "test",
                expires_at=expires.replace(tzinfo=at.tzinfo) if expires else None,
            )

    key_id, text = _with_services(make)
    click.echo(f"{key_id}\n{text}")


@keys_group.command("list")
def keys_list() -> None:
    """List all keys; their secrets are not known to anybody.

    Example: `billing keys list`
    """

    async def read(services: Services) -> list[Any]:
        async with services.database.begin() as session:
            return await keys.list_keys(session)

    table = Table("id", "name", "scopes", "created", "revoked")
    for row in _with_services(read):
        key_id = keys.public("key", row.id)
        table.add_row(
            key_id, row.name, " ".join(row.scopes), iso(row.created_at), row.revoked_at and iso(row.revoked_at)
        )
    out.print(table)


@keys_group.command("revoke")
@click.argument("key_id")
def keys_revoke(key_id: str) -> None:
    """Cut a key off; every process stops honouring it within a second.

    Example: `billing keys revoke key_01k…`
    """

    async def cut(services: Services) -> None:
        async with services.database.begin() as session:
            await keys.revoke_key(session, services.clock.now(), key_id)

    _with_services(cut)
    click.echo("Revoked.")


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


if __name__ == "__main__":
    main()
