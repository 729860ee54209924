"""What an account must be told, for the app that shows it where mail cannot reach."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import get_account
from billing.catalog.values import Catalogue
from billing.kernel.days import iso
from billing.kernel.ids import Ref
from billing.kernel.web import AnyRequest, answer_as, answer_once, page_of, problem_answers
from billing.notices import service
from billing.notices.tables import LetterRow

NoticeState = Literal["planned", "handed_over", "bounced", "dropped"]
Limit = Annotated[int, Meta(ge=1, le=100)]


class NoticeOut(msgspec.Struct, frozen=True, tag_field="object", tag="notice"):
    """A notice: what kind, which day it names, whether it reached anybody."""

    id: str
    account: str
    kind: str
    day: str | None
    state: NoticeState
    pupils: list[str]
    handed_over_at: str | None


class Notices(msgspec.Struct, frozen=True, tag_field="object", tag="list"):
    """A page of notices, oldest first."""

    data: list[NoticeOut]
    has_more: bool
    next: str | None


def told(row: LetterRow) -> NoticeOut:
    """A notice as strangers see it."""
    state = cast("NoticeState", "planned" if row.state == "parked" else row.state)
    return NoticeOut(
        id=service.letter_id(row),
        account=row.account,
        kind=row.kind,
        day=row.day.isoformat() if row.day else None,
        state=state,
        pupils=list(row.pupils),
        handed_over_at=iso(row.handed_over_at) if row.handed_over_at else None,
    )


@get(
    "/accounts/{account:str}/notices",
    operation_id="listNotices",
    tags=["Notices"],
    summary="What an account must be told",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def list_notices(
    account: FromPath[Ref],
    session: NamedDependency[AsyncSession],
    limit: Annotated[Limit, QueryParameter()] = 100,
    after: FromQuery[str | None] = None,
) -> Notices:
    """Oldest first; `after` is the id of the last one of the page before."""
    await get_account(session, account)
    rows = [told(row) for row in await service.notices_of(session, account)]
    window, following = page_of([row.id for row in rows], limit, after)
    return Notices(rows[window], following is not None, following)


@post(
    "/notices/{notice:str}/shown",
    operation_id="noticeShown",
    tags=["Notices"],
    summary="The app has shown a notice",
    status_code=200,
    responses=answer_as(NoticeOut, "The notice") | problem_answers(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
)
async def notice_shown(
    request: AnyRequest,
    notice: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
) -> Response[Any]:
    """Counts as handed over from this moment (R29); saying it again changes nothing."""

    async def show() -> NoticeOut:
        return told(await service.shown(session, notice, catalogue.trial, at))

    return await answer_once(request, session, at, 200, show)


handlers = (
    list_notices,
    notice_shown,
)
