"""A school blocks what was paid for: each pass it touches is a task for people; no money moves by itself (R14)."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.kernel.outbox import Message
from billing.subscriptions import service as subscriptions
from billing.subscriptions.rules import LIVE
from entitlements import service as desk


async def on_blocks_set(session: AsyncSession, message: Message, at: datetime) -> None:
    """One case for each pass of the school's pupils that was bought before and gives what is newly blocked. A block
    that was there before, or comes again, opens nothing."""
    fresh = set(message.facts["newly_blocked"])
    if not fresh:
        return
    school = message.facts["school"]
    for row in await subscriptions.of_pupils(session, await desk.pupils_of_school(session, school)):
        touched = fresh & set(row.features)
        if touched and row.state in LIVE and row.until > at and row.created_at <= message.at:
            facts = {"order": row.order_id, "account": row.account}
            await _open(session, subscriptions.subscription_id(row), touched, school, at, **facts)


async def _open(
    session: AsyncSession, about: str, touched: set[str], school: str, at: datetime, **whose: str | None
) -> None:
    known = await cases.case_about(session, "school_block", about)
    before: set[str] = set() if known is None else set(known.facts["blocked"])
    if touched <= before:
        return
    facts: dict[str, Any] = {"school": school, "blocked": sorted(before | touched)}
    is_news = await cases.open_case(
        session, "school_block", about, at, order=whose["order"], account=whose["account"], reopen=True, **facts
    )
    if known is not None and not is_news:
        known.facts = {**known.facts, **facts}
