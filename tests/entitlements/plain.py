"""The reader before turns: SQLAlchemy, one statement for one account. It is kept to compare answers with."""

from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, text

from billing.kernel.db import Database
from entitlements.facts import AccountFacts, Grant, PupilFacts

_FACTS = text("""
select a.account, l.pupil, l.notice_pending, b.features as blocked, b.since as blocked_since,
       g.source, g.origin, g.features, g.since, g.until, g.bound, g.end_reason
from entitlement_account a
left join entitlement_link l on l.account = a.account
left join entitlement_pupil p on p.pupil = l.pupil
left join lateral (
    select array_agg(feature) as features, array_agg(since) as since from entitlement_block where school = p.school
) b on true
left join entitlement_grant g on g.pupil = l.pupil
where a.account = any(cast(:accounts as text[]))
order by a.account, l.linked_at, l.pupil, g.id
""")


async def plainly_read(database: Database, account: str) -> AccountFacts | None:
    """The facts of one account, None for an unknown one."""
    async with database.begin() as session:
        rows = list(await session.execute(_FACTS, {"accounts": [account]}))
    if not rows:
        return None
    by_pupil = groupby(rows, key=attrgetter("pupil"))
    return AccountFacts(account, tuple(_pupil(pupil, list(found)) for pupil, found in by_pupil if pupil))


def _pupil(pupil: str, rows: list[Row[Any]]) -> PupilFacts:
    first = rows[0]
    return PupilFacts(
        pupil,
        grants=tuple(
            Grant(row.source, row.origin, frozenset(row.features), row.since, row.until, row.bound, row.end_reason)
            for row in rows
            if row.origin is not None
        ),
        blocks=dict(zip(first.blocked, first.blocked_since, strict=True)) if first.blocked else {},
        notice_pending=first.notice_pending,
    )
