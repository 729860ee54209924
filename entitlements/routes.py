"""The front desk's window: the app's backend asks, one answer each (R9-R12, R131-R134).

Basic features and the browser are answered before anything is read, so no fault of the store can take them away (I06).
`at` is the request's own instant, read once; a caller may ask about another.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import msgspec
from litestar import Request, Router, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from billing.kernel.errors import Unavailable
from billing.kernel.web import problem_answers, requires
from entitlements import answers
from entitlements.answers import DecisionAnswer, EntitlementsAnswer, PupilAnswer, Sealed
from entitlements.batch import accounts_to_read, compact, full, judge, settle
from entitlements.decision import Decision, decide, decide_all, earliest_change, free_decision, free_reason
from entitlements.describe import ACCOUNT_QUERY, BATCH_ANSWER, BATCH_BODY, BATCH_QUERY
from entitlements.facts import PupilFacts, UnknownAccount
from entitlements.features import FeatureList
from entitlements.questions import Question, ask, ask_many
from entitlements.reader import FactsReader

_OTHERS = {
    304: ResponseSpec(None, generate_examples=False, description="The caller has this answer already"),
    **problem_answers(400, 401, 403, 404, 422, 429, 503),
}
_READ = [HttpMethod.GET, HttpMethod.HEAD]


@dataclass
class _AccountQuestion(Operation):
    """A question about one account; its query is described by hand."""

    def __post_init__(self) -> None:
        self.parameters = cast("Any", [*(self.parameters or []), *ACCOUNT_QUERY])


@dataclass
class _BatchQuestion(Operation):
    """Many questions; query, body and answer are described by hand."""

    def __post_init__(self) -> None:
        self.parameters = cast("Any", BATCH_QUERY)
        self.request_body = cast("Any", BATCH_BODY)
        self.responses = (self.responses or {}) | cast("Any", {"200": BATCH_ANSWER})


def _named(name: str) -> Any:
    """An operation id for each method of a route that answers GET and HEAD."""

    def operation_id(_: HTTPRouteHandler, method: Any, _path: Any) -> str:
        return name if method == HttpMethod.GET else f"{name}Head"

    return operation_id


@route(
    "/accounts/{account:str}/entitlements/{feature:str}",
    http_method=_READ,
    operation_id=_named("getEntitlement"),
    operation_class=_AccountQuestion,
    summary="May this account use this feature?",
    description=(
        "One decision for one pupil and feature. Basic features, and everything in a browser, are always allowed, also"
        " for an unknown account. A pupil that is not linked is refused with `not_linked`. The answer flips at exactly"
        " `valid_until`; keep it no longer than `Cache-Control` says and ask again with `If-None-Match`."
    ),
    responses={200: ResponseSpec(DecisionAnswer, generate_examples=False, description="The decision"), **_OTHERS},
)
async def entitlement(
    request: Request[Any, Any, Any],
    account: FromPath[str],
    feature: FromPath[str],
    features: NamedDependency[FeatureList],
    facts: NamedDependency[FactsReader],
    at: NamedDependency[datetime],
) -> ASGIResponse:
    """Answer about one feature."""
    question = ask(account, request.query_params.multi_items())
    then = question.at or at
    free = free_reason(features, feature, question.channel)
    if free is not None:
        decision = free_decision(question.pupil, feature, free)
    else:
        known = await facts.account(account)
        if known is None:
            raise UnknownAccount(account)
        decision = decide(features, known.of(question.pupil), feature, question.channel, then, at)
    return _answer(request, answers.one(account, question.channel, decision, then, at))


@route(
    "/accounts/{account:str}/entitlements",
    http_method=_READ,
    operation_id=_named("getEntitlements"),
    operation_class=_AccountQuestion,
    summary="What may this account use?",
    description=(
        "All pupils of the account (or the one named) and a decision for each add-on; `basic` lists the features that"
        " are always allowed. `valid_until` is the earliest of all decisions."
    ),
    responses={
        200: ResponseSpec(EntitlementsAnswer, generate_examples=False, description="All decisions"),
        **_OTHERS,
    },
)
async def entitlements(
    request: Request[Any, Any, Any],
    account: FromPath[str],
    features: NamedDependency[FeatureList],
    facts: NamedDependency[FactsReader],
    at: NamedDependency[datetime],
) -> ASGIResponse:
    """Answer about everything."""
    question = ask(account, request.query_params.multi_items())
    then = question.at or at
    pupils = tuple(
        PupilAnswer(each.pupil, decide_all(features, each, question.channel, then, at))
        for each in await _pupils_asked_about(facts, question)
    )
    valid_until = earliest_change(decision for pupil in pupils for decision in pupil.features)
    sealed = answers.all_of(account, question.channel, pupils, features.basic, valid_until, then, at)
    return _answer(request, sealed)


@post(
    "/entitlements/check",
    status_code=200,
    operation_id="checkEntitlements",
    operation_class=_BatchQuestion,
    summary="Many questions at once",
    description=(
        "Up to 500 checks, answered in their order. A bad check gets an `error` in its place and spoils no other."
        ' `"answer": "compact"` answers with true, false or null (no decision) and one `valid_until` for all. With the'
        " store down, checks that need it say `store_unavailable` in their places; if no check can do without it, the"
        " whole answer is 503. Nothing is changed, so `Idempotency-Key` is not needed and has no effect."
    ),
    responses=problem_answers(400, 401, 403, 413, 415, 429, 503),
)
async def check(
    request: Request[Any, Any, Any],
    features: NamedDependency[FeatureList],
    facts: NamedDependency[FactsReader],
    at: NamedDependency[datetime],
) -> ASGIResponse:
    """Answer a batch."""
    batch = ask_many(await request.body(), request.query_params.multi_items())
    then = batch.at or at
    settled = settle(features, batch)
    accounts = accounts_to_read(batch, settled)
    try:
        known = await facts.accounts(accounts) if accounts else {}
    except Unavailable as fault:
        if not any(isinstance(verdict, Decision) for verdict in settled):
            raise
        known = fault
    verdicts = judge(features, batch, settled, known, then, at)
    told = compact(verdicts, then) if batch.compact else full(batch, verdicts, then)
    return ASGIResponse(
        body=msgspec.json.encode(told), headers={"cache-control": "no-store"}, media_type=MediaType.JSON
    )


async def _pupils_asked_about(facts: FactsReader, question: Question) -> tuple[PupilFacts, ...]:
    if question.channel == "web" and question.pupil is not None:
        return (PupilFacts(question.pupil),)
    known = await facts.account(question.account)
    if known is None:
        raise UnknownAccount(question.account)
    return known.pupils if question.pupil is None else (known.of(question.pupil),)


def _answer(request: Request[Any, Any, Any], sealed: Sealed) -> ASGIResponse:
    """The answer, or 304 where the caller has it already (the framework never sends one)."""
    headers = {"etag": sealed.etag, "cache-control": sealed.cache_control}
    if answers.matches(", ".join(request.headers.getall("if-none-match", [])) or None, sealed.etag):
        return ASGIResponse(status_code=304, headers=headers)
    headers |= {"content-type": MediaType.JSON.value, "content-length": str(len(sealed.body))}
    if request.method == HttpMethod.HEAD:
        return ASGIResponse(headers=headers, is_head_response=True)
    return ASGIResponse(body=sealed.body, headers=headers)


entitlements_router = Router(
    path="/v1",
    route_handlers=[entitlement, entitlements, check],
    guards=[requires("entitlements:read")],
    tags=["Entitlements"],
)
