"""What changed, for a backend that keeps answers of its own: read from where it stopped, and ask anew."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import iso
from billing.kernel.web import known_query, problem_answers, requires
from entitlements import news
from entitlements.changes import Cause

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Page = Annotated[int, Meta(ge=1, le=1000)]


class ChangeOut(msgspec.Struct, frozen=True):
    """Answers about this pupil of this account say something else now; `pupil` null: those about all of its pupils;
    `account` null: one that has left since, in a time when nobody was reading.

    It holds from `effective_at` on, and was written at `changed_at`; one that time alone brought about has both at
    once. New causes may be added.
    """

    seq: int
    account: str | None
    pupil: str | None
    changed_at: str
    effective_at: str
    cause: Cause


class Changes(msgspec.Struct, frozen=True, tag_field="object", tag="list"):
    """A page of changes, in the order in which they were committed."""

    data: list[ChangeOut]
    has_more: bool
    next: str | None


@get(
    "/changes",
    operation_id="listChanges",
    tags=["Entitlements"],
    summary="What changed since",
    description=(
        "All changes of answers in the order in which they were committed, also those that time alone brings about,"
        " such as the end of a trial. Numbers have no gap. Keep the `seq` of the last one you have handled and give it"
        " as `after`; without it you read from the oldest change kept. Changes are kept for 30 days; where some after"
        " `after` are gone, the answer is 410 `changes_forgotten`: ask about your accounts anew and begin again without"
        " `after`. Ask for the new answers, and do not conclude them from `cause`."
    ),
    responses=problem_answers(400, 401, 403, 410, 429, 503),
)
async def changes(
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    limit: Annotated[Page, QueryParameter()] = 100,
    after: Annotated[Number | None, QueryParameter()] = None,
) -> Changes:
    """Answer with a page."""
    await news.reading(session, at)
    rows, has_more = await news.read(session, after, limit)
    told = [
        msgspec.convert(
            {
                "seq": row.seq,
                "account": row.account,
                "pupil": row.pupil,
                "changed_at": iso(row.changed_at),
                "effective_at": iso(row.effective_at),
                "cause": row.cause,
            },
            ChangeOut,
        )
        for row in rows
    ]
    return Changes(told, has_more, str(rows[-1].seq) if has_more else None)


changes_router = Router("/v1", route_handlers=[changes], guards=[requires("entitlements:read"), known_query])
