"""The second door for OpenFeature's SDKs: OFREP, one flag or all of them, over the same decision.

What goes wrong is told in the protocol's shape instead of a problem; it is decided once whether an answer is the same
as the one a caller holds. A key may come as `Authorization: Bearer` or as `X-API-Key`, the protocol's two ways.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
import structlog
from litestar import Request, Response, Router
from litestar.enums import HttpMethod, MediaType
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

from billing.kernel.errors import BillingError, TooMany, Unavailable
from billing.kernel.problems import status_of
from billing.kernel.web import QUESTIONS, AnyRequest, answer_as, error_of, requires
from entitlements import ofrep
from entitlements.decision import Decision
from entitlements.describe import OFREP_ANSWER, OFREP_BODY, OFREP_QUERY
from entitlements.facts import AccountFacts, Facts, UnknownAccount
from entitlements.features import FeatureList
from entitlements.ofrep import Flag, OfrepFailure
from entitlements.questions import Question
from entitlements.telling import HAS_IT, answer
from entitlements.window import Window, given

_CODES: Final = {405: "method_not_allowed", 413: "payload_too_large", 415: "unsupported_media_type"}
_STATUSES: Final = {
    400: "The context or the body cannot be used",
    401: "No key, or not a living one",
    403: "The key lacks the scope",
    413: "The body is too large",
    415: "The body is not application/json",
    429: "Too many requests",
    503: "Rights cannot be looked up at this moment",
}

log = structlog.get_logger(__name__)


def _failures(statuses: Mapping[int, str] = _STATUSES) -> dict[int, ResponseSpec]:
    """The protocol's own shape for everything that is not a flag."""
    return {status: answer_as(OfrepFailure, words, status)[status] for status, words in sorted(statuses.items())}


@dataclass
class _Evaluation(Operation):
    """An evaluation; its query and body are described by hand."""

    def __post_init__(self) -> None:
        self.parameters = cast("Any", [*(self.parameters or []), *OFREP_QUERY])
        self.request_body = cast("Any", OFREP_BODY)


@dataclass
class _BulkEvaluation(_Evaluation):
    """An evaluation of everything; its answer is described by hand too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.responses = (self.responses or {}) | cast("Any", {"200": OFREP_ANSWER})


@Window(
    "/flags/{feature:str}",
    http_method=[HttpMethod.POST],
    status_code=200,
    operation_id="evaluateFlag",
    operation_class=_Evaluation,
    summary="One feature as a flag",
    description=(
        "OFREP: the decision of `GET /v1/accounts/{account}/entitlements/{feature}` as a boolean flag. `variant` is its"
        " `reason`; `metadata` carries `valid_until` and the rest. An unknown feature is `FLAG_NOT_FOUND`; an unknown"
        " account, a missing channel or an unclear pupil `INVALID_CONTEXT`. Nothing is changed, so `Idempotency-Key` is"
        " not needed and has no effect."
    ),
    responses=answer_as(Flag, "The flag") | HAS_IT | _failures(_STATUSES | {404: "There is no such feature"}),
)
async def evaluate_flag(
    request: Request[Any, Any, Any],
    feature: FromPath[str],
) -> ASGIResponse:
    """Answer about one feature."""
    features, facts, at = given(request)
    question = await _question(request)
    ((_, verdict),) = await _verdicts(features, facts, (feature,), question, at)
    if not isinstance(verdict, Decision):
        raise verdict
    return answer(request, ofrep.sealed(ofrep.flag(verdict, question.channel)))


@Window(
    "/flags",
    http_method=[HttpMethod.POST],
    status_code=200,
    operation_id="evaluateFlags",
    operation_class=_BulkEvaluation,
    summary="All features as flags",
    description=(
        "OFREP, bulk: every feature of one pupil, basic ones too. A flag that cannot be decided has an error in its"
        " place. With the store down the whole answer is 503, so that a provider goes on with the flags it holds"
        " instead of taking its defaults. Poll with `If-None-Match`. Nothing is changed, so `Idempotency-Key` is not"
        " needed and has no effect."
    ),
    responses=HAS_IT | _failures(),
)
async def evaluate_flags(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Answer about every feature."""
    features, facts, at = given(request)
    question = await _question(request)
    everything = sorted(features.basic | features.add_ons)
    verdicts = await _verdicts(features, facts, everything, question, at)
    return answer(request, ofrep.sealed(ofrep.bulk(verdicts, question.channel)))


async def _question(request: Request[Any, Any, Any]) -> Question:
    kind, _, options = request.headers.get("content-type", "").lower().partition(";")
    if kind.strip() != MediaType.JSON or options.strip() not in {"", "charset=utf-8"}:
        raise HTTPException(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return ofrep.read(await request.body(), request.query_params.multi_items())


async def _verdicts(
    features: FeatureList, facts: Facts, asked: Sequence[str], question: Question, at: datetime
) -> list[tuple[str, Decision | BillingError]]:
    """A verdict for each feature, in their order. Raises Unavailable where the store is needed and does not answer."""
    known: AccountFacts | BillingError | None = None
    if ofrep.needs_facts(features, asked, question.channel):
        known = await facts.account(question.account, strong=question.strong) or UnknownAccount(question.account)
    return [(feature, ofrep.verdict(features, feature, question, known, at)) for feature in asked]


def _tell(request: AnyRequest, fault: Exception) -> Response[bytes]:
    """The protocol's shape for everything that goes wrong behind this door."""
    error = error_of(request, fault) or _plain(request, fault)
    status, headers = _status(error, fault), dict[str, str]()
    if isinstance(error, (TooMany, Unavailable)):
        headers["Retry-After"] = str(error.retry_after)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    request_id = str(request.scope["state"].get("request_id", ""))
    told = ofrep.failure(error, request_id, request.path_params.get("feature"))
    return Response(msgspec.json.encode(told), status_code=status, headers=headers, media_type=MediaType.JSON)


def _status(error: BillingError, fault: Exception) -> int:
    """The protocol knows 404 for flags alone, and 400 for all that is wrong with a context."""
    if isinstance(fault, HTTPException):
        return fault.status_code
    told = ofrep.code_of(error)
    if told in {"PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT"}:
        return HTTPStatus.BAD_REQUEST
    return status_of(error)


def _plain(request: AnyRequest, fault: Exception) -> BillingError:
    """An error of the framework, or a defect of ours, in our words."""
    if isinstance(fault, HTTPException) and fault.status_code in _CODES:
        return BillingError(f"{HTTPStatus(fault.status_code).phrase}.", code=_CODES[fault.status_code])
    log.error("request_failed", path=request.scope.get("path_template"), exc_info=fault)
    return BillingError("Something broke on our side; nothing was changed.", code="internal_error")


def _either_key(app: ASGIApp) -> ASGIApp:
    """Reads `X-API-Key` as `Authorization: Bearer` where the latter is not sent."""

    async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if b"x-api-key" in headers and b"authorization" not in headers:
            named = (b"authorization", b"Bearer " + headers[b"x-api-key"])
            cast("Any", scope)["headers"] = [*scope["headers"], named]
        await app(scope, receive, send)

    return pass_on


ofrep_router = Router(
    path="/ofrep/v1/evaluate",
    route_handlers=[evaluate_flag, evaluate_flags],
    guards=[requires("entitlements:read", QUESTIONS)],
    middleware=[_either_key],
    exception_handlers={Exception: _tell},
    tags=["OpenFeature (OFREP)"],
)
