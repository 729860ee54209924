"""The chain of migrations: what it makes is what the code expects, and it can be walked both ways, by two at once."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select
from sqlalchemy.ext.asyncio import create_async_engine

from billing.kernel.db import Database
from billing.migrations.run import config, downgrade, head, present, upgrade
from billing.migrations.tables import metadata
from billing.sandbox.postgres import EmbeddedPostgres

SCHEMA = """
select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
        || coalesce(column_default, '') || ' ' || coalesce(identity_generation, '')
    from information_schema.columns where table_schema = 'public' and table_name <> 'alembic_version'
union all
select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'public'::regnamespace and conrelid <> 0
        and conrelid::regclass::text <> 'alembic_version'
union all
select 'index ' || indexdef from pg_indexes where schemaname = 'public' and tablename <> 'alembic_version'
union all
select 'trigger ' || tgrelid::regclass || ' ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
union all
select 'function ' || proname || ' ' || prosrc from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'type ' || typname from pg_type where typnamespace = 'public'::regnamespace and typtype in ('r', 'e', 'm')
order by 1
"""


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> str:
    """The address of a database with nothing in it."""
    name = "empty_" + "".join(letter for letter in request.node.name if letter.isalnum())[-40:].lower()
    postgres.make_database(name)
    return postgres.url(name)


async def _schema(url: str) -> list[str]:
    """Everything the migrations made, one line each."""
    engine = create_async_engine(url)
    async with engine.connect() as link:
        found = [row[0] for row in await link.exec_driver_sql(SCHEMA)]
    await engine.dispose()
    return found


async def test_up_down_and_up_again_is_the_same_as_up(empty_url: str) -> None:
    await upgrade(empty_url)
    first = await _schema(empty_url)
    assert len(first) > 100
    await downgrade(empty_url, "base")
    assert await _schema(empty_url) == []
    await upgrade(empty_url)
    assert await _schema(empty_url) == first


async def test_every_single_step_can_be_undone(empty_url: str) -> None:
    steps = [step.revision for step in ScriptDirectory.from_config(config()).walk_revisions()]
    before: list[list[str]] = []
    for step in reversed(steps):
        before.append(await _schema(empty_url))
        await upgrade(empty_url, step)
    for step, expected in zip(steps, reversed(before), strict=True):
        await downgrade(empty_url, "-1")
        assert await _schema(empty_url) == expected, f"undoing {step}"


async def test_running_it_twice_changes_nothing(empty_url: str) -> None:
    await upgrade(empty_url)
    first = await _schema(empty_url)
    await upgrade(empty_url)
    assert await _schema(empty_url) == first


async def test_two_processes_at_once_make_one_schema(empty_url: str) -> None:
    """A rolling deploy starts several: the second waits, then finds nothing to do."""
    await asyncio.gather(*(upgrade(empty_url) for _ in range(2)))
    database = Database(empty_url)
    async with database.begin() as session:
        assert await present(session) == head()
    await database.close()


async def test_the_models_and_the_migrations_say_the_same(database_url: str) -> None:
    engine = create_async_engine(database_url)

    def differences(link: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(link, opts={"compare_type": True}), metadata))

    async with engine.connect() as link:
        found = await link.run_sync(differences)
    await engine.dispose()
    assert found == []


async def test_every_check_of_the_models_stands_in_the_database(database_url: str, database: Database) -> None:
    """Autogenerate looks at no CHECK and at no partial index's condition; this does."""
    wanted = {
        f"{table.name} {constraint.name}"
        for table in metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is not None
    } | {f"{table.name} {index.name}" for table in metadata.tables.values() for index in table.indexes}
    async with database.begin() as session:
        link = await session.connection()
        rows = await link.exec_driver_sql(
            "select conrelid::regclass || ' ' || conname from pg_constraint where conrelid <> 0 "
            "union select tablename || ' ' || indexname from pg_indexes where schemaname = 'public'"
        )
        have = {row[0] for row in rows}
    assert wanted - have == set()


async def test_s52_a_new_database_knows_nobody_and_no_key(database: Database) -> None:
    """Only those where the counting of changes begins hold a row: who may do anything was let in by somebody."""
    async with database.begin() as session:
        tables = metadata.tables.items()
        found = {name: (await session.execute(select(table).limit(1))).first() for name, table in tables}
    assert {"api_key", "staff_session", "account"} <= found.keys()
    assert {name for name, row in found.items() if row is not None} == {"entitlement_numbering", "webhook_mark"}


async def test_an_empty_database_has_no_revision(empty_url: str) -> None:
    database = Database(empty_url)
    async with database.begin() as session:
        assert await present(session) == ""
    await database.close()


def test_the_chain_has_one_end_and_no_branch() -> None:
    script = ScriptDirectory.from_config(config())
    assert script.get_heads() == [head()]
    assert all(not step.is_branch_point for step in script.walk_revisions())
    files = {path.name[:4] for path in Path(script.versions).glob("[0-9]*.py")}
    assert files == {step.revision for step in script.walk_revisions()}
