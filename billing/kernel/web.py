"""The door: what every answer has, who may pass, and how errors are told. Litestar's side of the kernel."""

import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any, cast

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import ResponseHeader
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import idempotency
from billing.kernel.bodies import faults_in
from billing.kernel.errors import (
    BillingError,
    Fault,
    Forbidden,
    Malformed,
    TooMany,
    Unavailable,
)
from billing.kernel.keys import Caller, Scope
from billing.kernel.limits import ASK, Limit
from billing.kernel.problems import MEDIA_TYPE, Problem, problem, problem_of

PER_KEY = Limit("key", quota=6_000, window=timedelta(seconds=10))
QUESTIONS = Limit("questions", quota=200_000, window=timedelta(seconds=10), ahead=2_000)
"""Of those who only ask what somebody may use: before each tap of an app, thousands a second at seven."""

_HTTP_CODES = {400: "malformed_request", 401: "unauthenticated", 403: "forbidden", 404: "not_found",
               405: "method_not_allowed", 413: "payload_too_large", 415: "unsupported_media_type",
               429: "rate_limited", 503: "unavailable"}  # fmt: skip
_SANE_ID = re.compile(r"^[A-Za-z0-9._\-]{8,64}$")

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]
Guarding = Callable[[AnyConnection, BaseRouteHandler], Awaitable[None]]


class _Fresh:
    """Random names, by blocks: to ask the system for each costs more than all the rest of a quick answer."""

    def __init__(self) -> None:
        self._names: list[str] = []
        os.register_at_fork(after_in_child=self._names.clear)

    def name(self) -> str:
        """A name that nobody has."""
        if not self._names:
            block = os.urandom(16 * 256).hex()
            self._names.extend(block[start : start + 32] for start in range(0, len(block), 32))
        return self._names.pop()


_fresh = _Fresh()


def request_id_of(inbound: str | None) -> str:
    """The caller's own request id where it is sane, else a fresh one."""
    return inbound if inbound and _SANE_ID.match(inbound) else _fresh.name()


def requires(scope: Scope, limit: Limit = PER_KEY) -> Guarding:
    """A guard: a living key that holds `scope`, within `limit`. Runs before any session is opened."""

    async def guard(connection: AnyConnection, _: BaseRouteHandler) -> None:
        told, app = connection.scope["state"], connection.app.state
        sent = [value for name, value in connection.scope["headers"] if name == b"authorization"]
        caller: Caller = await app.key_ring.caller(sent[0].decode("latin-1") if sent else None)
        if not caller.may(scope):
            raise Forbidden(f"This key does not hold the scope {scope}.", code="scope_missing")
        told["caller"] = caller
        remaining = told["counted"] if "counted" in told else app.limiter.at_hand(limit, caller.key_id)
        try:
            if remaining == ASK:
                remaining = await app.limiter.take(limit, caller.key_id)
        except TooMany as fault:
            told["answer_headers"] = limit_headers(limit, 0, fault.retry_after)
            raise
        if remaining is not None:
            told["answer_headers"] = limit_headers(limit, remaining)

    guard.scope = scope  # pyright: ignore[reportFunctionMemberAccess] - told in the description
    return guard


def limit_headers(limit: Limit, remaining: int, seconds: int | None = None) -> list[tuple[bytes, bytes]]:
    """What is left of a limit, refilled in so many seconds; without them: in its window."""
    name, window, policy = _told_of(limit)
    return [
        (b"ratelimit", b"%s;r=%d;t=%d" % (name, remaining, window if seconds is None else seconds)),
        (b"ratelimit-policy", policy),
    ]


@cache
def _told_of(limit: Limit) -> tuple[bytes, int, bytes]:
    name, window = b'"%s"' % limit.name.encode(), limit.window // timedelta(seconds=1)
    return name, window, b"%s;q=%d;w=%d" % (name, limit.quota, window)


async def known_query(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """A guard: refuses parameters that the route does not know, that are given twice, or that are not as described,
    naming each together with the body's faults (S67). The framework ignores what `msgspec.Meta` says of parameters."""
    described = handler.parsed_fn_signature.parameters
    query = {
        definition.query or name: field.raw
        for name, field in described.items()
        if isinstance(definition := field.kwarg_definition, QueryParameter)
    }
    given = list(connection.query_params.multi_items())
    times = Counter(name for name, _ in given)
    faults = [
        Fault(name[:64], "unknown_parameter", "There is no such parameter")
        for name in sorted(times)
        if name not in query
    ]
    faults += [Fault(name, "repeated", "Given more than once") for name in query if times[name] > 1]
    path = {name: described[name].raw for name in connection.path_params if name in described}
    for wanted, values in ((query, given), (path, connection.path_params.items())):
        for name, value in values:
            if name in wanted and (words := _fault_of(value, wanted[name])) is not None:
                faults.append(Fault(name, "invalid", words))
    if faults:
        faults += _body_faults(connection, handler)
        raise Malformed("The request cannot be understood; `errors` names every fault.", faults=tuple(faults))


def _fault_of(value: Any, wanted: Any) -> str | None:
    try:
        msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as fault:
        return str(fault)
    return None


def _body_faults(connection: AnyConnection, handler: BaseRouteHandler) -> tuple[Fault, ...]:
    wanted = handler.parsed_fn_signature.parameters.get("data")
    body: bytes | None = connection.scope["state"].get("body")
    if wanted is None or body is None:
        return ()
    return faults_in(body, wanted.annotation) if body else (Fault("", "missing", "A JSON document is required"),)


def page_of(keys: Sequence[str], limit: int, after: str | None) -> tuple[slice, str | None]:
    """Which part of a list is asked for, and the `next` that leads on; Malformed where `after` is not of the list."""
    if after is not None and after not in keys:
        fault = Fault("after", "invalid", "Not in this list; begin again without it")
        raise Malformed("The page asked for cannot be found.", faults=(fault,))
    start = keys.index(after) + 1 if after is not None else 0
    end = start + limit
    return slice(start, end), keys[end - 1] if len(keys) > end else None


async def answer_once(
    request: AnyRequest, session: AsyncSession, at: datetime, status: int, effect: Callable[[], Awaitable[Any]]
) -> Response[bytes]:
    """Answer a POST with what `effect` returns; under an `Idempotency-Key` the effect happens once (I22)."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return Response(msgspec.json.encode(await effect()), status_code=status, media_type=MediaType.JSON)
    asked = b"\0".join((request.method.encode(), request.url.path.encode(), await request.body()))
    caller, secret = request.state.caller.key_id, request.app.state.secret
    stored = await idempotency.once(
        session, at, key, caller=caller, request=asked, secret=secret, status=status, effect=effect
    )
    headers = {"Idempotent-Replayed": "true"} if stored.replayed else {}
    return Response(stored.body, status_code=stored.status, headers=headers, media_type=MediaType.JSON)


def error_of(request: AnyRequest, fault: Exception) -> BillingError | None:
    """Any exception as one of our errors; None for a defect of ours."""
    if isinstance(fault, BillingError):
        return fault
    if isinstance(fault, ValidationException):
        return _validation(request, fault)
    if isinstance(fault, (PoolTimeout, ConnectionError, OSError)):
        return Unavailable("The store does not answer.", code="store_unavailable")
    if isinstance(fault, DBAPIError) and (fault.connection_invalidated or _is_passing(fault)):
        return Unavailable("The store does not answer.", code="store_unavailable", retry_after=1)
    return None


def _is_passing(fault: SQLAlchemyError) -> bool:
    """A lock or statement time-out, a deadlock, or a server that is going or coming: asking again may help."""
    state = getattr(getattr(fault, "orig", None), "sqlstate", None)
    return isinstance(state, str) and (state[:2] in {"08", "53", "57"} or state in {"40001", "40P01", "55P03"})


def _validation(request: AnyRequest, fault: ValidationException) -> Malformed:
    extra = cast("list[dict[str, str]]", fault.extra or [])
    parameters = [entry for entry in extra if entry.get("source") != "body"]
    faults = [Fault(entry.get("key", ""), "invalid", entry.get("message", "")) for entry in parameters]
    faults += _body_faults(request, request.route_handler)
    return Malformed("The request cannot be understood; `errors` names every fault.", faults=tuple(faults))


def tell(request: AnyRequest, fault: Exception) -> Response[Any]:
    """The one map from exceptions to answers."""
    app: Litestar = request.app
    request_id = str(request.scope["state"].get("request_id", ""))
    where = {"base": app.state.public_url, "instance": request.url.path, "request_id": request_id}
    headers: dict[str, str] = {}
    error = error_of(request, fault)
    if error is not None:
        told = problem_of(error, **where)
        if isinstance(error, (TooMany, Unavailable)):
            headers["Retry-After"] = str(error.retry_after)
        if told.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(fault, HTTPException) and fault.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        code = _HTTP_CODES.get(fault.status_code, "malformed_request")
        told = problem(code, fault.status_code, _plain(fault.status_code), **where)
        headers.update(fault.headers or {})
    else:
        log.error("request_failed", path=request.scope.get("path_template"), exc_info=fault)
        told = problem("internal_error", 500, "Something broke on our side; nothing was changed.", **where)
    page: Callable[[AnyRequest, Problem], Response[Any] | None] | None = app.state.get("error_page")
    if page is not None and (answer := page(request, told)) is not None:
        answer.headers.update(headers)
        return answer
    return Response(msgspec.json.encode(told), status_code=told.status, headers=headers, media_type=MEDIA_TYPE)


def _plain(status: int) -> str:
    return f"{HTTPStatus(status).phrase}."


def answer_as(shape: type[Any] | None, words: str, status: int = 200) -> dict[int, ResponseSpec]:
    """The OpenAPI description of one answer; without a shape it has no body."""
    return {status: ResponseSpec(shape, description=words, generate_examples=False)}


def problem_answers(*statuses: int) -> dict[int, ResponseSpec]:
    """The OpenAPI description of problem answers."""
    return {
        status: ResponseSpec(
            Problem, media_type=cast("Any", MEDIA_TYPE), description=_plain(status), generate_examples=False
        )
        for status in statuses
    }


REQUEST_ID_HEADER = ResponseHeader(
    name="X-Request-Id", description="Names this request in logs.", documentation_only=True
)
