"""Cases as the staff see them: what waits, how long it has waited, by when it must be done."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import rules, service
from billing.cases.rules import Kind
from billing.cases.tables import CaseRow
from billing.checkout.tables import OrderRow
from billing.kernel.audit import AuditRow
from billing.kernel.ids import public
from billing.withdrawals import disputed_money


class CaseSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `days` is its age in whole days; `is_warned` says that its due day is near or past."""

    id: str
    kind: str
    about: str
    order: str | None
    account: str | None
    state: str
    opened_at: datetime
    due_at: datetime | None
    days: int
    is_warned: bool
    is_overdue: bool
    facts: dict[str, object]
    outcome: str | None
    proposed_by: str | None
    closed_by: str | None
    closed_at: datetime | None
    reason: str | None
    outcomes: tuple[str, ...]
    needs_two: bool


class OrderHead(msgspec.Struct, frozen=True):
    """An order as the head of a form names it; money in grosz."""

    name: str
    number: int
    total: int
    kept: int
    """What of it may still go back."""
    paid_at: datetime | None


async def order_head(session: AsyncSession, key: UUID) -> OrderHead | None:
    """The head of an order."""
    row = await session.get(OrderRow, key)
    if row is None:
        return None
    name = public("ord", row.id)
    return OrderHead(name, row.number, row.total, max(0, await disputed_money.kept(session, name)), row.paid_at)


def seen(row: CaseRow, at: datetime) -> CaseSeen:
    """A case as it stands at `at`."""
    kind: Kind = row.kind  # pyright: ignore[reportAssignmentType] - the column is checked by the database
    waits = row.state != "closed"
    return CaseSeen(
        id=service.case_id(row),
        kind=row.kind,
        about=row.about,
        order=row.order_id,
        account=row.account,
        state=row.state,
        opened_at=row.opened_at,
        due_at=row.due_at,
        days=(at - row.opened_at).days,
        is_warned=waits and rules.is_warned(kind, row.due_at, at),
        is_overdue=waits and row.due_at is not None and at >= row.due_at,
        facts=row.facts,
        outcome=row.outcome,
        proposed_by=row.proposed_by,
        closed_by=row.closed_by,
        closed_at=row.closed_at,
        reason=row.reason,
        outcomes=rules.RULES[kind].outcomes,
        needs_two=rules.RULES[kind].needs_two,
    )


async def cases(session: AsyncSession, kind: str | None, state: str | None, at: datetime, most: int) -> list[CaseSeen]:
    """Those that wait, the nearest due first, then the oldest; or the closed ones, the newest first."""
    query = select(CaseRow)
    if kind:
        query = query.where(CaseRow.kind == kind)
    if state == "closed":
        query = query.where(CaseRow.state == "closed").order_by(CaseRow.closed_at.desc(), CaseRow.id)
    else:
        query = query.where(CaseRow.state != "closed").order_by(CaseRow.due_at.nulls_last(), CaseRow.opened_at)
    return [seen(row, at) for row in await session.scalars(query.limit(most))]


async def cases_about(session: AsyncSession, order: str, at: datetime) -> list[CaseSeen]:
    """Every case about an order, oldest first."""
    return [seen(row, at) for row in await service.cases_of(session, order)]


async def counts(session: AsyncSession) -> dict[str, int]:
    """How many of each kind wait."""
    query = select(CaseRow.kind, func.count()).where(CaseRow.state != "closed").group_by(CaseRow.kind)
    found = {kind: int(number) for kind, number in await session.execute(query)}
    return {kind: found[kind] for kind in rules.KINDS if kind in found}


async def history(session: AsyncSession, case: str) -> list[AuditRow]:
    """What was done about a case, oldest first."""
    return list(await session.scalars(select(AuditRow).where(AuditRow.subject == case).order_by(AuditRow.id)))
