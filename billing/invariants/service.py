"""Asking the queries, and keeping what they answered of a night. Reads only, but for its line in the audit trail."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.invariants.queries import QUERIES
from billing.invariants.rules import Finding, Query
from billing.kernel import audit
from billing.kernel.audit import AuditRow
from billing.kernel.days import at_hour, day_of

SETTLED: Final = timedelta(minutes=15)
"""How long what just happened may still be on its way (I12)."""

SHOWN: Final = 20
SUBJECT: Final = "invariants"
HOUR: Final = 4
QUIET: Final = timedelta(days=7)
"""After so long without a line in the audit trail the nights are left out."""
_ASKED: Final = "invariants.asked"
_PATIENCE: Final = text("set local statement_timeout = '15min'")
_STATEMENTS: Final = {query: text(query.bounded(SHOWN + 1)) for query in QUERIES}


async def ask(session: AsyncSession, at: datetime, *, settled: datetime | None = None) -> tuple[Finding, ...]:
    """What every query finds at `at`; no rows is the answer of one that holds. What happened after `settled` (15
    minutes ago, unless given) may still be on its way. Writes nothing."""
    await session.execute(_PATIENCE)
    known = {"at": at, "settled": settled or at - SETTLED}
    return tuple([await _asked(session, query, known) for query in QUERIES])


async def _asked(session: AsyncSession, query: Query, known: dict[str, datetime]) -> Finding:
    used = {name: value for name, value in known.items() if f":{name} " in query.sql}
    rows = (await session.execute(_STATEMENTS[query], used)).mappings().all()
    shown = tuple({name: _plain(value) for name, value in row.items()} for row in rows[:SHOWN])
    return Finding(number=query.number, title=query.title, means=query.means, rows=shown, has_more=len(rows) > SHOWN)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=str)


def broken(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that found something."""
    return tuple(finding for finding in findings if finding.rows)


async def ask_of_the_night(session: AsyncSession, at: datetime) -> tuple[Finding, ...] | None:
    """Ask, and note it in the audit trail; None when it is not due, or another process is at it (I23)."""
    if not await session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(SUBJECT, 0)))):
        return None
    due = await next_due(session)
    if due is None or due > at:
        return None
    findings = await ask(session, at)
    counts = {f"{finding.number} {finding.title}": len(finding.rows) for finding in broken(findings)}
    audit.record(session, at, _ASKED, SUBJECT, after="broken" if counts else "silent", found=counts)
    return findings


async def next_due(session: AsyncSession) -> datetime | None:
    """Four in the morning in Warsaw of the day after the last time, or after the first line of the audit trail. Once
    nothing has happened for a week, it is asked once a week until something does."""
    last = await session.scalar(select(func.max(AuditRow.at)).where(AuditRow.subject == SUBJECT))
    if last is None:
        first = await session.scalar(select(AuditRow.at).order_by(AuditRow.id).limit(1))
        return None if first is None else _night_after(first)
    latest = await session.scalar(
        select(AuditRow.at).where(AuditRow.subject != SUBJECT).order_by(AuditRow.id.desc()).limit(1)
    )
    if latest is not None and latest > last - QUIET:
        return _night_after(last)
    return at_hour(day_of(last) + QUIET, HOUR)


def _night_after(at: datetime) -> datetime:
    return at_hour(day_of(at) + timedelta(days=1), HOUR)


async def last_answer(session: AsyncSession) -> int:
    """How many queries found something when they were last asked at night; 0 also before the first time."""
    query = select(AuditRow.facts).where(AuditRow.subject == SUBJECT).order_by(AuditRow.at.desc()).limit(1)
    facts = await session.scalar(query)
    return len((facts or {}).get("found", {}))
