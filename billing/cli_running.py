"""How a command runs: on services of its environment, its failures told in a line, its exit code right."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import rich_click as click

from billing.catalog.values import BadCatalogue
from billing.kernel.errors import BillingError
from billing.kernel.settings import EXIT_CONFIGURATION, BadSettings, Settings, load
from billing.wiring import Services, build

T = TypeVar("T")


def settings_or_exit() -> Settings:
    """The settings; every fault told and exit 78 where there are any."""
    try:
        return load()
    except BadSettings as fault:
        for line in fault.lines:
            click.echo(line, err=True)
        sys.exit(EXIT_CONFIGURATION)


def with_services(do: Callable[[Services], Awaitable[T]]) -> T:
    """Run `do` on services of this environment; failures are told in a line, and exit 1."""
    settings = settings_or_exit()

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
