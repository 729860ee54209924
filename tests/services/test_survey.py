"""The sandbox asks each kind of work when it is next due only when what the work read has changed; it never misses."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import idempotency, outbox
from billing.kernel.db import Database
from billing.kernel.outbox import OutboxRow
from billing.kernel.work import Work
from billing.sandbox.survey import Survey

LATER = timedelta(hours=1)


class Asked:
    """A work that says when the first message is due, and writes down how often it was asked."""

    def __init__(self, kind: str = "told") -> None:
        self.kind = kind
        self.times = 0

    async def next_due(self, session: AsyncSession) -> datetime | None:
        self.times += 1
        row = await session.scalar(select(OutboxRow).where(OutboxRow.kind == self.kind).order_by(OutboxRow.due_at))
        return None if row is None else row.due_at

    async def run(self, at: datetime) -> int:
        return 0

    @property
    def work(self) -> Work:
        return Work(name=f"asked.{self.kind}", queue="bulk", next_due=self.next_due, run=self.run)


async def put(database: Database, at: datetime, kind: str = "told") -> None:
    async with database.begin() as session:
        outbox.put(session, kind, at)


async def test_a_work_is_asked_anew_when_a_row_it_read_has_changed_and_not_otherwise(
    database: Database, at: datetime
) -> None:
    one, other = Asked(), Asked("other")
    works, survey = [one.work, other.work], Survey(database)
    for _ in range(5):
        assert await survey.of(works) == []
    assert (one.times, other.times) == (2, 2), "once to learn what it reads, once with what that brings"
    await put(database, at + LATER)
    for _ in range(3):
        assert await survey.of(works) == [(works[0], at + LATER)]
    assert (one.times, other.times) == (3, 2)
    async with database.begin() as session:
        await session.execute(text("update outbox set due_at = :due"), {"due": at})
    assert await survey.of(works) == [(works[0], at)]
    async with database.begin() as session:
        await session.execute(text("delete from outbox"))
    assert await survey.of(works) == []


async def test_of_several_works_only_those_named_answer_and_none_hears_for_another(
    database: Database, at: datetime
) -> None:
    works, survey = [Asked("a").work, Asked("b").work, Asked("a").work], Survey(database)
    await put(database, at, "a")
    await put(database, at + LATER, "b")
    for _ in range(3):
        assert await survey.of(works) == [(works[0], at), (works[1], at + LATER), (works[2], at)]
        assert await survey.of(works[1:2]) == [(works[1], at + LATER)]


async def test_what_a_transaction_has_not_committed_is_not_heard_and_what_it_has_is(
    database: Database, at: datetime
) -> None:
    works, survey = [Asked().work], Survey(database)
    for _ in range(2):
        assert await survey.of(works) == []
    async with database.begin() as session:
        outbox.put(session, "told", at)
        await session.flush()
        assert await survey.of(works) == []
    assert await survey.of(works) == [(works[0], at)]


async def test_the_statements_of_a_real_work_with_values_in_them_are_sent_again_as_they_were(
    database: Database, at: datetime
) -> None:
    works = [idempotency.forget_old_keys(database), outbox.relay(database, {}), Asked().work]
    survey = Survey(database)
    await put(database, datetime(2026, 9, 1, tzinfo=UTC))
    for _ in range(3):
        async with database.begin() as session:
            fresh = [(work, await work.next_due(session)) for work in works]
        assert await survey.of(works) == [(work, due) for work, due in fresh if due is not None]
