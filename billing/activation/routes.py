"""Links for the app backend to hand out."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import get_account
from billing.activation import service
from billing.catalog.values import Catalogue
from billing.kernel.days import iso
from billing.kernel.errors import Fault, Invalid
from billing.kernel.ids import Ref
from billing.kernel.web import AnyRequest, answer_as, answer_once, problem_answers
from billing.kernel.web_pages import Site
from entitlements import service as desk


class LinkIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For which of the account's pupils."""

    pupils: Annotated[list[Ref], Meta(min_length=1, max_length=50)]


class LinkOut(msgspec.Struct, frozen=True, tag_field="object", tag="activation_link"):
    """A link; its token is told this once and only its hash is kept (R31)."""

    id: str
    url: str
    expires_at: str
    pupils: list[str]


@post(
    "/accounts/{account:str}/activation-links",
    operation_id="createActivationLink",
    tags=["Selling"],
    summary="Make an activation link",
    status_code=201,
    responses=answer_as(LinkOut, "The link", 201) | problem_answers(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
)
async def create_link(
    request: AnyRequest,
    account: FromPath[Ref],
    data: JSONBody[LinkIn],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
    site: NamedDependency[Site],
) -> Response[Any]:
    """A link to the order page for these pupils, good for fourteen Warsaw days; it authenticates nobody (I27)."""

    async def make() -> LinkOut:
        await get_account(session, account)
        linked = {link.pupil for link in await desk.links_of(session, account)}
        faults = tuple(
            Fault(f"/pupils/{index}", "not_linked", "Not a pupil of this account")
            for index, pupil in enumerate(data.pupils)
            if pupil not in linked
        )
        if faults:
            raise Invalid("A pupil is not linked to this account.", code="not_linked", faults=faults)
        made = await service.issue(session, account, data.pupils, at, days=catalogue.order.link_days)
        url = f"{site.public_url}/activate/{made.token}"
        return LinkOut(made.id, url, iso(made.expires_at), list(made.pupils))

    return await answer_once(request, session, at, 201, make)


handlers = (create_link,)
