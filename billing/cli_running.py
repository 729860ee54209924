"""How a command runs: on services of its environment, its failures told in a line, its exit code right."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NoReturn, TypeVar

import rich_click as click
from sqlalchemy.exc import SQLAlchemyError

from billing.catalog.service import load as load_catalogue
from billing.catalog.values import BadCatalogue
from billing.kernel.errors import BillingError
from billing.kernel.settings import EXIT_CONFIGURATION, BadSettings, Settings, load
from billing.wiring import Services, build

T = TypeVar("T")


def settings_or_exit() -> Settings:
    """The settings, with a catalogue that can be read; every fault told and exit 78 where there are any."""
    try:
        settings = load()
        load_catalogue(Path(settings.catalog) if settings.catalog else None)
    except (BadSettings, BadCatalogue) as fault:
        _exit_misconfigured(fault)
    return settings


def _exit_misconfigured(fault: BadSettings | BadCatalogue) -> NoReturn:
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
        with redirect_stdout(sys.stderr):  # what is logged on the way; standard output is the answer's
            return asyncio.run(run())
    except BadCatalogue as fault:
        _exit_misconfigured(fault)
    except (BillingError, OSError, SQLAlchemyError) as fault:
        click.echo(f"{type(fault).__name__}: {fault}".splitlines()[0], err=True)
        sys.exit(1)
