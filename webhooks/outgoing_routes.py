"""Webhook endpoints: who wants to be told of what, and what became of it."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.errors import Fault, Malformed, NotFound
from billing.kernel.ids import parse
from billing.kernel.web import AnyRequest, answer_as, answer_once, page_of, problem_answers
from webhooks import outgoing_service as service
from webhooks.outgoing_shapes import (
    Deliveries,
    DeliveryOut,
    EndpointIn,
    EndpointOut,
    Endpoints,
    ReplayIn,
    ReplayOut,
    delivery_told,
    told,
)

Limit = Annotated[int, Meta(ge=1, le=100)]
_TAGS = ["Webhook endpoints"]
_ANSWERS = (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)


@post(
    "/webhook-endpoints",
    operation_id="createWebhookEndpoint",
    tags=_TAGS,
    summary="Be told of events",
    status_code=201,
    responses=answer_as(EndpointOut, "The endpoint and its secret", 201) | problem_answers(*_ANSWERS),
)
async def create_endpoint(
    request: AnyRequest,
    data: JSONBody[EndpointIn],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    calls_loopback: NamedDependency[bool],
) -> Response[Any]:
    """Events that happen from now on are posted there, signed by Standard Webhooks; at least once, in no promised
    order. The secret is told this once."""

    async def make() -> EndpointOut:
        secret = request.app.state.secret
        return told(*await service.create(session, data.url, data.events, at, secret=secret, loopback=calls_loopback))

    return await answer_once(request, session, at, 201, make)


@get(
    "/webhook-endpoints",
    operation_id="listWebhookEndpoints",
    tags=_TAGS,
    summary="Who is told of what",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def list_endpoints(
    session: NamedDependency[AsyncSession],
    limit: Annotated[Limit, QueryParameter()] = 100,
    after: FromQuery[str | None] = None,
) -> Endpoints:
    """Oldest first; `after` is the id of the last one of the page before."""
    rows = [told(row) for row in await service.every(session)]
    window, following = page_of([row.id for row in rows], limit, after)
    return Endpoints(rows[window], following is not None, following)


@get(
    "/webhook-endpoints/{endpoint:str}",
    operation_id="getWebhookEndpoint",
    tags=_TAGS,
    summary="One endpoint",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def get_endpoint(endpoint: FromPath[str], session: NamedDependency[AsyncSession]) -> EndpointOut:
    """The endpoint as it stands, without its secret."""
    return told(await service.get(session, endpoint))


@delete(
    "/webhook-endpoints/{endpoint:str}",
    operation_id="deleteWebhookEndpoint",
    tags=_TAGS,
    summary="Be told of nothing any more",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def delete_endpoint(
    endpoint: FromPath[str], session: NamedDependency[AsyncSession], at: NamedDependency[datetime]
) -> None:
    """Its secret and its deliveries are forgotten at once."""
    await service.remove(session, endpoint, at)


@post(
    "/webhook-endpoints/{endpoint:str}/rotate-secret",
    operation_id="rotateWebhookSecret",
    tags=_TAGS,
    summary="Change the secret",
    status_code=200,
    responses=answer_as(EndpointOut, "The endpoint and its new secret") | problem_answers(*_ANSWERS),
)
async def rotate_secret(
    request: AnyRequest,
    endpoint: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """For 24 hours deliveries carry two signatures, by the new secret and by the old. The new one is told this once."""

    async def make() -> EndpointOut:
        return told(*await service.rotate(session, endpoint, at, secret=request.app.state.secret))

    return await answer_once(request, session, at, 200, make)


@post(
    "/webhook-endpoints/{endpoint:str}/enable",
    operation_id="enableWebhookEndpoint",
    tags=_TAGS,
    summary="Be told again",
    status_code=200,
    responses=answer_as(EndpointOut, "The endpoint") | problem_answers(*_ANSWERS),
)
async def enable_endpoint(
    request: AnyRequest,
    endpoint: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """For one that answered 410, or nothing for five days. What it missed is sent again by `replay`."""

    async def make() -> EndpointOut:
        return told(await service.enable(session, endpoint, at))

    return await answer_once(request, session, at, 200, make)


@get(
    "/webhook-endpoints/{endpoint:str}/deliveries",
    operation_id="listWebhookDeliveries",
    tags=_TAGS,
    summary="What became of each event",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def list_deliveries(
    endpoint: FromPath[str],
    session: NamedDependency[AsyncSession],
    limit: Annotated[Limit, QueryParameter()] = 100,
    after: FromQuery[str | None] = None,
) -> Deliveries:
    """Newest first, of the last 30 days; `after` is the id of the last one of the page before."""
    row = await service.get(session, endpoint)
    try:
        before = None if after is None else parse("evt", after)
    except NotFound as fault:
        words = Fault("after", "invalid", "Not in this list; begin again without it")
        raise Malformed("The page asked for cannot be found.", faults=(words,)) from fault
    rows = [delivery_told(found) for found in await service.deliveries(session, row.id, limit, before)]
    has_more = len(rows) > limit
    return Deliveries(rows[:limit], has_more, rows[limit - 1].id if has_more else None)


@post(
    "/webhook-endpoints/{endpoint:str}/deliveries/{delivery:str}/retry",
    operation_id="retryWebhookDelivery",
    tags=_TAGS,
    summary="Send one again",
    status_code=200,
    responses=answer_as(DeliveryOut, "The delivery") | problem_answers(*_ANSWERS),
)
async def retry_delivery(
    request: AnyRequest,
    endpoint: FromPath[str],
    delivery: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """Now, whatever became of it before, under the same `webhook-id`."""

    async def make() -> DeliveryOut:
        return delivery_told(await service.retry(session, endpoint, delivery, at))

    return await answer_once(request, session, at, 200, make)


@post(
    "/webhook-endpoints/{endpoint:str}/replay",
    operation_id="replayWebhookDeliveries",
    tags=_TAGS,
    summary="Send all that failed again",
    status_code=200,
    responses=answer_as(ReplayOut, "How many") | problem_answers(*_ANSWERS),
)
async def replay_deliveries(
    request: AnyRequest,
    endpoint: FromPath[str],
    data: JSONBody[ReplayIn],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """All that were given up of a time, under the same `webhook-id` each."""

    async def make() -> ReplayOut:
        until = at if data.until is None else data.until
        return ReplayOut(endpoint, await service.replay(session, endpoint, data.since, until, at))

    return await answer_once(request, session, at, 200, make)


handlers = (
    create_endpoint,
    list_endpoints,
    get_endpoint,
    delete_endpoint,
    rotate_secret,
    enable_endpoint,
    list_deliveries,
    retry_delivery,
    replay_deliveries,
)
