"""The operator's commands about the catalogue and about API keys."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import rich_click as click
from rich.console import Console
from rich.table import Column, Table

from billing.catalog.push import diff, push, told
from billing.catalog.service import load as load_catalogue
from billing.catalog.values import BadCatalogue
from billing.cli_running import with_services
from billing.kernel import keys
from billing.kernel.days import iso
from billing.kernel.keys import SCOPES, Scope
from billing.kernel.settings import EXIT_CONFIGURATION
from billing.wiring import Services

# A pipe has no width: nothing is cut there.
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 200)


@click.group()
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
    changes = with_services(lambda services: diff(services.gateway, services.catalogue))
    click.echo("\n".join(told(changes)) or "Stripe has everything.")


@catalog.command("push")
def catalog_push() -> None:
    """Make products and prices at Stripe as the catalogue has them.

    Example: `billing catalog push`
    """
    changes = with_services(lambda services: push(services.gateway, services.catalogue))
    click.echo("\n".join(told(changes)) or "Stripe has everything.")


@click.group("keys")
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

    key_id, text = with_services(make)
    click.echo(f"{key_id}\n{text}")


@keys_group.command("list")
def keys_list() -> None:
    """List all keys; their secrets are not known to anybody.

    Example: `billing keys list`
    """

    async def read(services: Services) -> list[Any]:
        async with services.database.begin() as session:
            return await keys.list_keys(session)

    table = Table(Column("id", no_wrap=True, min_width=30), "name", "scopes", "created", "revoked")
    for row in with_services(read):
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

    with_services(cut)
    click.echo("Revoked.")
