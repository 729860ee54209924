"""What `billing check` looks at: everything this process stands on, each with its own word."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Final

import msgspec
from redis.asyncio import Redis
from sqlalchemy import func, select

from billing.catalog.rules import AHEAD, ENOUGH_PRICED, priced_days
from billing.kernel.days import day_of
from billing.kernel.errors import BillingError
from billing.migrations.run import head, present
from billing.notices.mailer import SmtpMailer
from billing.payments.facts import API_VERSION
from billing.wiring import Services


class Result(msgspec.Struct, frozen=True):
    """One check: its name, whether all is well, and in words."""

    name: str
    is_ok: bool
    words: str


async def run_checks(services: Services, only: Collection[str] = ()) -> list[Result]:
    """The checks of these names, or all, none of them stopping the others."""
    return [await _run(name, check, services) for name, check in CHECKS.items() if not only or name in only]


async def _run(name: str, check: Callable[[Services], Awaitable[str]], services: Services) -> Result:
    try:
        return Result(name, is_ok=True, words=await check(services))
    except (BillingError, RuntimeError) as fault:
        return Result(name, is_ok=False, words=str(fault))
    except Exception as fault:  # noqa: BLE001 - whatever is wrong is what this command is for
        return Result(name, is_ok=False, words=f"{type(fault).__name__}: {fault}")


async def _database(services: Services) -> str:
    async with services.database.begin() as session:
        return f"PostgreSQL {await session.scalar(select(func.current_setting('server_version')))}"


async def _migrations(services: Services) -> str:
    async with services.database.begin() as session:
        revision = await present(session)
    if revision != head():
        raise RuntimeError(f"at {revision or 'none'}, this code wants {head()}; run `billing migrate`")
    return f"at {revision}"


async def _clock(services: Services) -> str:
    async with services.database.begin() as session:
        theirs = await session.scalar(select(func.clock_timestamp()))
    if services.settings.clock_file:
        return "a sandbox's clock"
    if theirs is None:
        raise RuntimeError("the database tells no time")
    skew = abs((theirs - services.clock.now()).total_seconds())
    if skew > 2:  # noqa: PLR2004 - seconds, F49
        raise RuntimeError(f"{skew:.1f} s apart from the database's")
    return f"{skew:.3f} s apart from the database's"


async def _prices(services: Services) -> str:
    today = day_of(services.clock.now())
    days = priced_days(services.catalogue, today)
    if days < ENOUGH_PRICED:
        raise RuntimeError(f"no season pass is for sale from {today + timedelta(days=days)} on: give one a price")
    return f"{days} days ahead or more" if days == AHEAD else f"until {today + timedelta(days=days - 1)}"


async def _broker(services: Services) -> str:
    url = services.settings.broker_url.value
    if not url.startswith("redis"):
        return "RabbitMQ is not asked here, and counts nothing: there are no rate limits"
    client = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        await client.execute_command("PING")
    finally:
        await client.aclose()
    return "answers"


async def _stripe(services: Services) -> str:
    account = await services.gateway.account()
    if account.api_version != API_VERSION:
        raise RuntimeError(f"speaks {account.api_version}, this code {API_VERSION}")
    return f"{'live' if account.livemode else 'test'} mode, API {account.api_version}"


async def _smtp(services: Services) -> str:
    return await SmtpMailer(services.settings.smtp_url.value).greet()


CHECKS: Final[Mapping[str, Callable[[Services], Awaitable[str]]]] = {
    "database": _database,
    "migrations": _migrations,
    "clock": _clock,
    "prices": _prices,
    "broker": _broker,
    "stripe": _stripe,
    "smtp": _smtp,
}
