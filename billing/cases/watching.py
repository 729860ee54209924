"""Saying aloud that cases are near their day, once at each step, and counting what waits (R76, R80, R138)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases.rules import RULES
from billing.cases.service import case_id
from billing.cases.tables import CaseRow
from billing.kernel import audit
from billing.kernel.unsaid import first_unsaid

_WARSAW: Final = "Europe/Warsaw"
_BATCH: Final = 100

log = structlog.get_logger(__name__)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """The open cases of a kind: how many, how old the oldest, how many near their day, how many past it."""

    kind: str
    count: int
    oldest_seconds: float
    near_due: int
    overdue: int


async def warn(session: AsyncSession, at: datetime) -> int:
    """Shout once at each step about cases whose day is near, or over. Answers how many."""
    query = select(CaseRow).where(CaseRow.state != "closed", _first_unsaid() <= at)
    rows = (await session.scalars(query.order_by(CaseRow.due_at).limit(_BATCH).with_for_update(skip_locked=True))).all()
    for row in rows:
        row.warned_at = at
        is_overdue = row.due_at is not None and row.due_at <= at
        log.warning("case_near_due", case=case_id(row), kind=row.kind, is_overdue=is_overdue)
        audit.record(
            session, at, "case.warned", case_id(row), account=row.account, kind=row.kind, is_overdue=is_overdue
        )
    return len(rows)


async def next_warning(session: AsyncSession) -> datetime | None:
    """When the next case comes so near its day that somebody must know."""
    return await session.scalar(select(func.min(_first_unsaid())).where(CaseRow.state != "closed"))


async def what_waits(session: AsyncSession, at: datetime) -> list[Waiting]:
    """The open cases by kind; every kind is there, also with none."""
    is_over = CaseRow.due_at <= at
    query = (
        select(
            CaseRow.kind,
            func.count(),
            func.min(CaseRow.opened_at),
            func.count().filter(_steps()[0] <= at, CaseRow.due_at > at),
            func.count().filter(is_over),
        )
        .where(CaseRow.state != "closed")
        .group_by(CaseRow.kind)
    )
    found = {kind: rest for kind, *rest in await session.execute(query)}
    return [_waiting(kind, found.get(kind, (0, at, 0, 0)), at) for kind in RULES]


def _waiting(kind: str, found: Sequence[Any], at: datetime) -> Waiting:
    count, oldest, near, over = found
    return Waiting(kind=kind, count=count, oldest_seconds=(at - oldest).total_seconds(), near_due=near, overdue=over)


def _first_unsaid() -> Any:
    """The first step of a case that nobody was warned of; null: none."""
    return first_unsaid(_steps(), CaseRow.warned_at)


def _steps() -> list[Any]:
    """The instants at which a case is to be shouted about, first to last: so many days before it is due, by the clock
    on a wall in Warsaw, and when it is due."""
    longest = max(len(rule.warn_before) for rule in RULES.values())
    due = func.timezone(_WARSAW, CaseRow.due_at)
    steps: list[Any] = []
    for place in range(longest):
        spans = {
            kind: sorted(rule.warn_before, reverse=True)[place]
            for kind, rule in RULES.items()
            if place < len(rule.warn_before)
        }
        before = case(
            {kind: literal(span) for kind, span in spans.items()}, value=CaseRow.kind, else_=literal(timedelta(0))
        )
        steps.append(func.timezone(_WARSAW, due - before))
    return [*steps, CaseRow.due_at]
