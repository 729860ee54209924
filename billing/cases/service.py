"""Opening and ending cases. What an outcome does elsewhere is the business of the room that opened the case."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import rules
from billing.cases.rules import RULES, Kind, SecondPersonNeeded, State, UnknownCase
from billing.cases.tables import CaseRow
from billing.kernel import audit
from billing.kernel.ids import new_id, parse, public

PREFIX = "case"
Case = CaseRow
"""What other rooms call a case that they were given; it moves here only."""


def case_id(row: CaseRow) -> str:
    """The public id."""
    return public(PREFIX, row.id)


async def open_case(
    session: AsyncSession,
    kind: Kind,
    about: str,
    at: datetime,
    *,
    order: str | None = None,
    account: str | None = None,
    due_at: datetime | None = None,
    reopen: bool = False,
    **facts: Any,
) -> bool:
    """Let a person look at `about`; answers whether that is news. A matter has one case of a kind: one that is closed
    stays so, unless `reopen` says that what closed it did not hold. An `account` that is being erased, or was while
    the caller was at work, is left out (I30)."""
    after = RULES[kind].due_after
    due_at = due_at or (at + after if after is not None else None)
    account = await _still_there(session, account)
    values = {
        "id": new_id(at), "kind": kind, "about": about, "order_id": order, "account": account, "facts": facts,
        "state": "open", "opened_at": at, "due_at": due_at,
    }  # fmt: skip
    statement = insert(CaseRow).values(values).on_conflict_do_nothing(constraint="uq_finance_case_kind_about")
    key = await session.scalar(statement.returning(CaseRow.id))
    if key is not None:
        audit.record(session, at, "case.opened", public(PREFIX, key), account=account, after="open", kind=kind)
        return True
    row = await _locked(session, select(CaseRow).where(CaseRow.kind == kind, CaseRow.about == about))
    if row is None or row.state != "closed" or not reopen:
        return False
    _move(session, row, "open", at, audit.SYSTEM)
    row.outcome = row.closed_at = row.closed_by = row.proposed_by = row.warned_at = None
    row.facts, row.opened_at, row.due_at = {**row.facts, **facts}, at, due_at
    return True


async def find_case(session: AsyncSession, case: str, *, lock: bool = False) -> CaseRow:
    """The case of a public id. Raises UnknownCase."""
    row = await session.get(CaseRow, parse(PREFIX, case), with_for_update=lock, populate_existing=lock)
    if row is None:
        raise UnknownCase("There is no such case.")
    return row


async def case_about(session: AsyncSession, kind: Kind, about: str) -> CaseRow | None:
    """The case of this kind about something."""
    return await session.scalar(select(CaseRow).where(CaseRow.kind == kind, CaseRow.about == about))


async def decide(session: AsyncSession, row: CaseRow, outcome: str, actor: str, reason: str, at: datetime) -> bool:
    """Say how a case ends; answers whether it has ended. Where two people are needed, the first proposes, and the
    second ends it by saying the same (R117). Raises NotAnOutcome, SecondPersonNeeded, Conflict."""
    kind = cast("Kind", row.kind)
    rules.checked_outcome(kind, outcome)
    if RULES[kind].needs_two and actor != audit.SYSTEM and row.state == "open":
        _move(session, row, "proposed", at, actor, reason)
        row.outcome, row.proposed_by, row.reason = outcome, actor, reason
        return False
    if row.state == "proposed" and row.outcome != outcome:
        _move(session, row, "open", at, actor, reason)
        row.outcome = row.proposed_by = row.reason = None
        return False
    if row.state == "proposed" and row.proposed_by == actor:
        raise SecondPersonNeeded("Somebody else must approve what you proposed.")
    _close(session, row, outcome, actor, reason, at)
    return True


async def close_about(
    session: AsyncSession, kind: Kind, about: str, outcome: str, at: datetime, reason: str, *, actor: str = audit.SYSTEM
) -> bool:
    """The matter has settled itself, or somebody settled it elsewhere: end its case, if one waits."""
    query = select(CaseRow).where(CaseRow.kind == kind, CaseRow.about == about, CaseRow.state != "closed")
    row = await _locked(session, query)
    if row is None:
        return False
    rules.checked_outcome(kind, outcome)
    _close(session, row, outcome, actor, reason, at)
    return True


def _close(session: AsyncSession, row: CaseRow, outcome: str, actor: str, reason: str, at: datetime) -> None:
    _move(session, row, "closed", at, actor, reason)
    row.outcome, row.reason, row.closed_by, row.closed_at = outcome, reason, actor, at


def _move(session: AsyncSession, row: CaseRow, to: State, at: datetime, actor: str, reason: str | None = None) -> None:
    before = cast("State", row.state)
    row.state = rules.move(before, to)
    audit.record(
        session, at, "case.moved", case_id(row), actor=actor, account=row.account, before=before, after=to,
        reason=reason, kind=row.kind,
    )  # fmt: skip


async def _still_there(session: AsyncSession, account: str | None) -> str | None:
    """The account, kept from going before the transaction ends; None: there is none, or none any more."""
    if account is None:
        return None
    (known,) = (key.column for key in CaseRow.__table__.c.account.foreign_keys)
    return await session.scalar(select(known).where(known == account).with_for_update(read=True, key_share=True))


async def _locked(session: AsyncSession, query: Any) -> CaseRow | None:
    return cast(
        "CaseRow | None", await session.scalar(query.with_for_update().execution_options(populate_existing=True))
    )


async def waiting(session: AsyncSession, limit: int = 200) -> list[CaseRow]:
    """What waits, the nearest due first, then the oldest."""
    query = select(CaseRow).where(CaseRow.state != "closed").order_by(CaseRow.due_at.nulls_last(), CaseRow.opened_at)
    return list(await session.scalars(query.limit(limit)))


async def waiting_of(session: AsyncSession, kind: Kind) -> list[CaseRow]:
    """All of one kind that wait, oldest first."""
    query = select(CaseRow).where(CaseRow.kind == kind, CaseRow.state != "closed").order_by(CaseRow.id)
    return list(await session.scalars(query))


async def cases_of(session: AsyncSession, order: str) -> list[CaseRow]:
    """Every case about an order, oldest first."""
    return list(await session.scalars(select(CaseRow).where(CaseRow.order_id == order).order_by(CaseRow.id)))
