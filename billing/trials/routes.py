"""Linking pupils to accounts, which begins their trial; unlinking them."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import get_account
from billing.catalog.rules import season_of
from billing.catalog.values import Catalogue
from billing.kernel import audit
from billing.kernel.days import day_of, iso
from billing.kernel.errors import NotFound
from billing.kernel.ids import Ref
from billing.kernel.web import answer_as, page_of, problem_answers
from billing.kernel.web_pages import Site
from billing.trials import rules, service
from billing.trials.tables import TrialRow
from entitlements import service as desk
from entitlements.service import Link

Limit = Annotated[int, Meta(ge=1, le=100)]


class PupilIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pupil's school, by the caller's reference."""

    school: Ref | None = None


class TrialNotice(msgspec.Struct, frozen=True):
    """Whether the day of the fall-back was told to everybody it concerns."""

    state: Literal["planned", "handed_over", "failed"]
    handed_over_at: str | None


class TrialOut(msgspec.Struct, frozen=True, tag_field="object", tag="trial"):
    """A trial. `ends_at` is `reverts_on` 00:00 in Warsaw, as an instant; it binds once the notice was handed over."""

    id: str
    pupil: str
    starts_at: str
    ends_at: str
    reverts_on: str
    state: Literal["running", "ended", "converted"]
    features: list[str]
    notice: TrialNotice


class PupilLinkOut(msgspec.Struct, frozen=True, tag_field="object", tag="pupil_link"):
    """A pupil on an account; `trial` is that of the present season."""

    account: str
    pupil: str
    school: str | None
    linked_at: str
    trial: TrialOut | None


class PupilLinks(msgspec.Struct, frozen=True, tag_field="object", tag="list"):
    """A page of pupil links."""

    data: list[PupilLinkOut]
    has_more: bool
    next: str | None


def told(row: TrialRow, features: tuple[str, ...], at: datetime) -> TrialOut:
    """A trial as strangers see it."""
    told_at = row.bound_at if row.bound_reason == "told" else None
    state = rules.state_at(
        at, row.ends_at, is_bound=row.bound_at is not None, is_converted=row.converted_at is not None
    )
    standing: Literal["planned", "handed_over", "failed"] = "handed_over" if told_at else "planned"
    return TrialOut(
        id=service.origin(row),
        pupil=row.pupil or "",
        starts_at=iso(row.starts_at),
        ends_at=iso(row.ends_at),
        reverts_on=row.reverts_on.isoformat(),
        state=state,
        features=list(features),
        notice=TrialNotice("failed" if row.staff_since else standing, iso(told_at) if told_at else None),
    )


async def _link_out(session: AsyncSession, link: Link, catalogue: Catalogue, at: datetime) -> PupilLinkOut:
    season = season_of(day_of(at), catalogue.season)
    trial = await service.trial_of(session, link.pupil, season.label)
    return PupilLinkOut(
        account=link.account,
        pupil=link.pupil,
        school=link.school,
        linked_at=iso(link.linked_at),
        trial=told(trial, catalogue.add_ons, at) if trial else None,
    )


@put(
    "/accounts/{account:str}/pupils/{pupil:str}",
    operation_id="linkPupil",
    tags=["Pupils"],
    summary="Link a pupil to an account",
    status_code=200,
    responses=answer_as(PupilLinkOut, "Linked", 201) | problem_answers(400, 401, 403, 404, 413, 415, 429, 503),
)
async def link_pupil(
    account: FromPath[Ref],
    pupil: FromPath[Ref],
    data: JSONBody[PupilIn],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
    site: NamedDependency[Site],
) -> Response[PupilLinkOut]:
    """Links the pupil (201) or finds it linked (200). The pupil's rights are the account's at once (R1, R3); the first
    link of a pupil in a season begins its trial, once, whatever is unlinked, deleted or made anew (R18)."""
    await get_account(session, account)
    link, is_new = await desk.put_link(session, account, pupil, data.school, at)
    season = season_of(day_of(at), catalogue.season)
    await service.start_trial(
        session,
        pupil=pupil,
        season=season.label,
        season_ends=season.last_day,
        features=catalogue.add_ons,
        policy=catalogue.trial,
        secret=site.secret,
        at=at,
    )
    if is_new:
        audit.record(session, at, "pupil.linked", f"pupil:{pupil}", account=account)
    return Response(await _link_out(session, link, catalogue, at), status_code=201 if is_new else 200)


@delete(
    "/accounts/{account:str}/pupils/{pupil:str}",
    operation_id="unlinkPupil",
    tags=["Pupils"],
    summary="Unlink a pupil",
    status_code=204,
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def unlink_pupil(
    account: FromPath[Ref],
    pupil: FromPath[Ref],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> None:
    """The account loses the pupil's rights at once (R3); what was bought stays the pupil's."""
    await get_account(session, account)
    if not await desk.drop_link(session, account, pupil):
        raise NotFound("This pupil is not linked to this account.", code="not_linked")
    await service.unlinked(session, pupil)
    audit.record(session, at, "pupil.unlinked", f"pupil:{pupil}", account=account)


@get(
    "/accounts/{account:str}/pupils",
    operation_id="listPupils",
    tags=["Pupils"],
    summary="The pupils of an account",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def list_pupils(
    account: FromPath[Ref],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
    limit: Annotated[Limit, QueryParameter()] = 100,
    after: FromQuery[Ref | None] = None,
) -> PupilLinks:
    """In the order in which they were linked; `after` is the reference of the last pupil of the page before."""
    await get_account(session, account)
    links = await desk.links_of(session, account)
    window, following = page_of([link.pupil for link in links], limit, after)
    data = [await _link_out(session, link, catalogue, at) for link in links[window]]
    return PupilLinks(data, following is not None, following)


handlers = (
    link_pupil,
    unlink_pupil,
    list_pupils,
)
