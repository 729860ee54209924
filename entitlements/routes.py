"""The front desk's window: the app's backend asks, one answer each (R9-R12, R131-R134).

Basic features and the browser are answered before anything is read, so no fault of the store can take them away (I06).
`at` is the request's own instant, read once; a caller may ask about another.
"""

from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar import Request, Router
from litestar.enums import HttpMethod
from litestar.openapi.spec import Operation
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from billing.kernel.errors import Unavailable
from billing.kernel.web import QUESTIONS, answer_as, problem_answers, requires
from entitlements import answers
from entitlements.answers import DecisionAnswer, EntitlementsAnswer
from entitlements.batch import accounts_to_read, compact, full, judge, settle
from entitlements.decision import Decision, free_decision, free_reason
from entitlements.describe import ACCOUNT_QUERY, BATCH_ANSWER, BATCH_BODY, BATCH_QUERY
from entitlements.facts import UnknownAccount
from entitlements.judging import judge as judge_one
from entitlements.questions import ask, ask_many, plain, plain_pairs
from entitlements.telling import HAS_IT, READ, answer, named, told_once
from entitlements.whole import whole
from entitlements.window import Window, given

_OTHERS = HAS_IT | problem_answers(400, 401, 403, 404, 422, 429, 503)


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


@Window(
    "/accounts/{account:str}/entitlements/{feature:str}",
    http_method=READ,
    operation_id=named("getEntitlement"),
    operation_class=_AccountQuestion,
    summary="May this account use this feature?",
    description=(
        "One decision for one pupil and feature. Basic features, and everything in a browser, are always allowed, also"
        " for an unknown account. A pupil that is not linked is refused with `not_linked`. The answer flips at exactly"
        " `valid_until`; keep it no longer than `Cache-Control` says and ask again with `If-None-Match`."
    ),
    responses=answer_as(DecisionAnswer, "The decision") | _OTHERS,
)
async def entitlement(
    request: Request[Any, Any, Any],
    account: FromPath[str],
    feature: FromPath[str],
) -> ASGIResponse:
    """Answer about one feature."""
    features, facts, at = given(request)
    question = plain(account, request.scope["query_string"]) or ask(account, _query(request))
    then = question.at or at
    free = free_reason(features, feature, question.channel)
    if free is not None:
        decision = free_decision(question.pupil, feature, free)
    else:
        if (fault := request.scope["state"].get("unavailable")) is not None:  # the hot door has waited for it
            raise fault
        known = await facts.account(account, strong=question.strong)
        if known is None:
            raise UnknownAccount(account)
        decision = judge_one(features, known, known.of(question.pupil), feature, question.channel, then, at)
    return answer(request, answers.one(account, question.channel, decision, then, at))


@Window(
    "/accounts/{account:str}/entitlements",
    http_method=READ,
    operation_id=named("getEntitlements"),
    operation_class=_AccountQuestion,
    summary="What may this account use?",
    description=(
        "All pupils of the account (or the one named) and a decision for each add-on; `basic` lists the features that"
        " are always allowed. `valid_until` is the earliest of all decisions."
    ),
    responses=answer_as(EntitlementsAnswer, "All decisions") | _OTHERS,
)
async def entitlements(
    request: Request[Any, Any, Any],
    account: FromPath[str],
) -> ASGIResponse:
    """Answer about everything."""
    features, facts, at = given(request)
    question = plain(account, request.scope["query_string"]) or ask(account, _query(request))
    sealed, _ = await whole(facts, features, question, question.at or at, at)
    return answer(request, sealed)


@Window(
    "/entitlements/check",
    http_method=[HttpMethod.POST],
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
async def check(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Answer a batch."""
    features, facts, at = given(request)
    batch = ask_many(await request.body(), _query(request))
    then = batch.at or at
    settled = settle(features, batch)
    accounts = accounts_to_read(batch, settled)
    try:
        known = await facts.accounts(accounts, strong=batch.strong) if accounts else {}
    except Unavailable as fault:
        known = fault
    verdicts = judge(features, batch, settled, known, then, at)
    silent = next((verdict for verdict in verdicts if isinstance(verdict, Unavailable)), None)
    if silent is not None and not any(isinstance(verdict, Decision) for verdict in verdicts):
        raise silent
    told = compact(verdicts, then) if batch.compact else full(batch, verdicts, then)
    return told_once(msgspec.json.encode(told))


def _query(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """The query's pairs. Where nothing in it is escaped or said twice, as in almost all, it need only be cut."""
    pairs = plain_pairs(request.scope["query_string"])
    return list(request.query_params.multi_items()) if pairs is None else pairs


entitlements_router = Router(
    path="/v1",
    route_handlers=[entitlement, entitlements, check],
    guards=[requires("entitlements:read", QUESTIONS)],
    tags=["Entitlements"],
)
