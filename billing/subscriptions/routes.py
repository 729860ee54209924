"""Paid rights, as the app backend and support may see them."""

from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import get_account
from billing.kernel.days import iso
from billing.kernel.errors import NotFound
from billing.kernel.ids import Ref, parse
from billing.kernel.web import page_of, problem_answers
from billing.subscriptions import rules, service
from billing.subscriptions.rules import Kind, State
from billing.subscriptions.tables import SubscriptionRow
from entitlements import service as desk

Limit = Annotated[int, Meta(ge=1, le=100)]


class SubscriptionOut(msgspec.Struct, frozen=True, tag_field="object", tag="subscription"):
    """A paid right. To an account that did not buy it, `order` is null: nothing tells who did (R87)."""

    id: str
    kind: Kind
    state: State
    pupil: str
    since: str
    until: str
    will_renew: bool
    order: str | None


class Subscriptions(msgspec.Struct, frozen=True, tag_field="object", tag="list"):
    """A page of paid rights, newest first."""

    data: list[SubscriptionOut]
    has_more: bool
    next: str | None


def told(row: SubscriptionRow, at: datetime, *, buyer: str | None) -> SubscriptionOut:
    """A right as `buyer` may see it; None sees what everybody may. Whoever did not buy it reads since when it is over,
    and not why (R78); the end of one that ended early is the instant it ended, for everybody."""
    is_buyer = buyer is not None and row.account == buyer
    state = service.state_at(row, at)
    return SubscriptionOut(
        id=service.subscription_id(row),
        kind=cast("Kind", row.kind),
        state=state if is_buyer or state not in rules.OVER else "ended",
        pupil=row.pupil,
        since=iso(row.since),
        until=iso(row.until if row.ended_at is None else min(row.until, row.ended_at)),
        will_renew=rules.will_renew(
            cast("Kind", row.kind), state, is_renewal_on=row.is_renewal_on, is_paused=row.is_paused
        ),
        order=row.order_id if is_buyer else None,
    )


@get(
    "/accounts/{account:str}/subscriptions",
    operation_id="listSubscriptions",
    tags=["Selling"],
    summary="The paid rights of an account's pupils",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def list_subscriptions(
    account: FromPath[Ref],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    limit: Annotated[Limit, QueryParameter()] = 100,
    after: FromQuery[str | None] = None,
) -> Subscriptions:
    """Newest first; `after` is the id of the last one of the page before."""
    await get_account(session, account)
    pupils = [link.pupil for link in await desk.links_of(session, account)]
    rows = await service.of_pupils(session, pupils)
    window, following = page_of([service.subscription_id(row) for row in rows], limit, after)
    data = [told(row, at, buyer=account) for row in rows[window]]
    return Subscriptions(data, following is not None, following)


@get(
    "/subscriptions/{subscription:str}",
    operation_id="getSubscription",
    tags=["Selling"],
    summary="One paid right",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def get_subscription(
    subscription: FromPath[str], session: NamedDependency[AsyncSession], at: NamedDependency[datetime]
) -> SubscriptionOut:
    """The right as it stands, with its order: for the app backend and support."""
    row: Any = await session.get(SubscriptionRow, parse("sub", subscription))
    if row is None:
        raise NotFound("There is no such subscription.")
    return told(row, at, buyer=row.account)


handlers = (
    list_subscriptions,
    get_subscription,
)
