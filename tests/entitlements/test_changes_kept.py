"""How long changes are kept, and for how long they name those who have left (R19, R88)."""

from datetime import datetime

from sqlalchemy import text

from billing.kernel.db import Database
from entitlements import news, numbering
from entitlements.snapshot.feed import Feed
from tests.entitlements.following import DAY, leave, mark, news_of, number


async def named(database: Database, table: str) -> set[str]:
    async with database.begin() as session:
        rows = " ".join(await session.scalars(text(f"select t::text from {table} t")))
    return {name for name in ("anna", "p1", "p2", "jan") if name in rows}


async def test_who_left_is_named_nowhere_once_it_is_numbered_where_nobody_follows_or_reads_r19_r88(
    database: Database, at: datetime
) -> None:
    await leave(database, at)
    assert await named(database, "entitlement_change") == {"jan"}
    assert await named(database, "entitlement_news") == {"jan"}
    told = await news_of(database)
    assert [seq for seq, *_ in told] == list(range(1, 8)), "no gap"
    assert {(account, pupil) for _, account, pupil, _ in told} == {(None, None), ("jan", None)}


async def test_who_reads_the_news_or_follows_the_log_still_hears_of_those_who_left(
    database: Database, at: datetime
) -> None:
    async with database.begin() as session:
        await news.reading(session, at)
    feed = Feed(database.engine.sync_engine)
    await feed.begin()
    try:
        await leave(database, at + 20 * DAY)
        assert await named(database, "entitlement_change") == {"anna", "jan", "p1", "p2"}
        assert await named(database, "entitlement_news") == {"anna", "jan", "p1", "p2"}
        assert {"anna", "jan"} <= await feed.changed()
    finally:
        feed.drop()
    await mark(database, "cut-off")
    await leave(database, at + 51 * DAY)
    assert await named(database, "entitlement_change") == {"anna", "jan", "p1", "p2"}, "it may come back"
    assert await named(database, "entitlement_news") == {"jan"}, "nobody has read for a month"


async def test_news_are_forgotten_after_30_days_from_the_first_on_and_the_log_after_one(
    database: Database, at: datetime
) -> None:
    for days, account in enumerate(("a0", "a1", "a2", "a3")):
        await mark(database, account)
        await number(database, at + days * DAY)
    await mark(database, "unnumbered")
    async with database.begin() as session:
        await session.execute(
            text("update entitlement_news set changed_at = :late where seq = 2"), {"late": at + 9 * DAY}
        )
        await session.execute(
            text("update entitlement_change set recorded_at = recorded_at - interval '25 hours' where account <> 'a3'")
        )
        first = await numbering.next_forgotten(session)
        assert first is not None
        assert first > at + numbering.KEPT
        assert await numbering.forget(session, at + numbering.KEPT - DAY) == 3, "of the log, of what is numbered"
        assert await numbering.forget(session, at + numbering.KEPT + 5 * DAY) == 1
        kept = await session.scalars(text("select account from entitlement_change order by id"))
        assert list(kept) == ["a3", "unnumbered"]
    assert [seq for seq, *_ in await news_of(database)] == [2, 3, 4], "what is kept has no gap"
    async with database.begin() as session:
        assert await numbering.forget(session, at + numbering.KEPT + 50 * DAY) == 3
    await number(database, at + 50 * DAY)
    assert await news_of(database) == [(5, "unnumbered", None, "account_added")]
