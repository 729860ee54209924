"""Bringing a database to the present schema, one process at a time."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

_LOCK = 7_310_001
_LIMITS = {"lock_timeout": "10s", "statement_timeout": "0", "application_name": "billing-migrate"}


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("path_separator", "os")
    if connection is not None:
        made.attributes["connection"] = connection
    return made


@cache
def head() -> str:
    """The newest revision this code knows."""
    return ScriptDirectory.from_config(config()).get_current_head() or ""


async def present(session: AsyncSession) -> str:
    """The revision the database is at; empty before the first."""
    try:
        async with session.begin_nested():
            return str(await session.scalar(text("select version_num from alembic_version")) or "")
    except ProgrammingError:
        return ""


async def upgrade(url: str, revision: str = "head") -> None:
    """Run what is missing up to `revision`. A second process waits for the first, then finds nothing to do."""
    await _run(url, partial(_upgrade, revision))


async def downgrade(url: str, revision: str) -> None:
    """Undo down to `revision`."""
    await _run(url, partial(_downgrade, revision))


def _upgrade(revision: str, link: Connection) -> None:
    command.upgrade(config(link), revision)


def _downgrade(revision: str, link: Connection) -> None:
    command.downgrade(config(link), revision)


async def _run(url: str, step: Callable[[Connection], None]) -> None:
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"server_settings": _LIMITS})
    try:
        async with engine.connect() as link:
            await link.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
            await link.commit()
            try:
                await link.run_sync(step)
            finally:
                await link.rollback()
                await link.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
                await link.commit()
    finally:
        await engine.dispose()
