from sqlalchemy import text

from billing.kernel.db import Database


async def test_a_unit_of_work_commits_at_its_end(database: Database) -> None:
    async with database.begin() as session:
        assert await session.scalar(text("select 41 + 1")) == 42
