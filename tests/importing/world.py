"""Putting lines in by the routes, and what then stands in the tables, with what is random taken out of it."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.routes import AccountIn, put_account
from billing.catalog.service import load
from billing.kernel.pages import Seller
from billing.kernel.web_pages import Site
from billing.trials.arriving import Terms
from billing.trials.importing import Tally, batches, take
from billing.trials.lines import Line, Read
from billing.trials.routes import PupilIn, link_pupil

TERMS = Terms(catalogue=load(None), secret="s" * 40)
_SELLER = Seller(**msgspec.structs.asdict(TERMS.catalogue.seller))
SITE = Site(public_url="http://test", secret=TERMS.secret, seller=_SELLER, payment_origins=())

_STANDING = {
    name: text(statement)
    for name, statement in {
        "accounts": "select * from account order by account",
        "askable": "select account from entitlement_account order by account",
        "pupils": "select pupil, school from entitlement_pupil order by pupil",
        "links": "select * from entitlement_link order by account, pupil",
        "trials": """select season, season_ends, pupil, pupil_hash, starts_at, reverts_on, ends_at, told_by, tell_from,
            bound_at, converted_at, prolongations, staff_since, ended_at,
            (select u.tell_from from trial_to_tell u where u.trial = id) as untold from trial order by pupil_hash""",
        "grants": """select g.pupil, source, features, since, until, bound, end_reason, created_at,
            (select t.pupil_hash from trial t where t.pupil = g.pupil and t.starts_at = g.since) as origin
            from entitlement_grant g order by g.pupil, since""",
        "audit": """select at, actor, action, case when left(subject, 4) = 'trl_' then 'trl' else subject end, account,
            before, after, reason, facts from audit""",
        "outbox": "select kind, facts - 'trial' as facts, at, state, due_at, tries, fault from outbox order by 1, 2",
        "changes": """select distinct account, pupil, school, cause, changed_at, effective_at from entitlement_change
            order by 1, 2, 3, 4""",
    }.items()
}


async def standing(session: AsyncSession) -> dict[str, list[tuple[Any, ...]]]:
    """Everything the lines may have touched. Ids are random and instants within them; what they name is compared."""
    await session.flush()
    return {
        name: sorted((tuple(row) for row in await session.execute(query)), key=repr)
        for name, query in _STANDING.items()
    }


async def put_by_routes(session: AsyncSession, line: Line, at: datetime) -> None:
    """`PUT` of the account and then of the pupil, through the routes' own functions."""
    data = AccountIn(**{name: getattr(line, name) for name in AccountIn.__struct_fields__})
    await put_account.fn(account=line.account, data=data, session=session, at=at)
    if line.pupil is not None:
        school = PupilIn(school=line.school)
        known: dict[str, Any] = {"session": session, "at": at, "catalogue": TERMS.catalogue, "site": SITE}
        await link_pupil.fn(account=line.account, pupil=line.pupil, data=school, **known)
    await session.flush()


async def put_by_import(session: AsyncSession, lines: list[Line], at: datetime) -> Tally:
    """The same lines, many at once."""
    tally = Tally()
    for batch in batches(Read(number, number, number * 100, line) for number, line in enumerate(lines, 1)):
        await take(session, batch, TERMS, tally, at)
    return tally
