"""Signed answers to carry away, and the keys that prove them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from litestar import Request, Router, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from billing.kernel.errors import Fault, Malformed
from billing.kernel.signing import PublicKeys, SigningKeys
from billing.kernel.web import problem_answers, requires
from entitlements import answers
from entitlements.describe import ACCOUNT_QUERY
from entitlements.features import FeatureList
from entitlements.questions import ask
from entitlements.reader import FactsReader
from entitlements.tokens import Tokens
from entitlements.whole import whole

KEYS_KEPT: Final = 300
"""Seconds for which anybody may keep the published keys: how long before it signs a new key must be published."""
_JWT: Final = "application/jwt"
_HAS_IT = ResponseSpec(None, generate_examples=False, description="The caller has this answer already")


@dataclass
class _TokenQuestion(Operation):
    """A question about one account as it stands now; query and answer are described by hand."""

    def __post_init__(self) -> None:
        asked = [each for each in ACCOUNT_QUERY if each["name"] != "at"]
        self.parameters = cast("Any", [*(self.parameters or []), *asked])
        signed = {"description": "A compact JWS", "content": {_JWT: {"schema": {"type": "string"}}}}
        self.responses = (self.responses or {}) | cast("Any", {"200": signed})


def _named(name: str) -> Any:
    def operation_id(_: HTTPRouteHandler, method: Any, _path: Any) -> str:
        return name if method == HttpMethod.GET else f"{name}Head"

    return operation_id


@route(
    "/accounts/{account:str}/entitlements.jwt",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=_named("getSignedEntitlements"),
    operation_class=_TokenQuestion,
    summary="What may this account use, signed?",
    description=(
        "The answer of `GET /v1/accounts/{account}/entitlements` as an ES256 token that an app can trust without a"
        " network: its claims are the fields of that answer, with `iss` (our public address), `aud`, `sub` (the"
        " account), `iat` and `exp`. `exp` is never past `valid_until` and at most 24 hours away. The keys are at"
        " `/.well-known/jwks.json`. Where you hold the token still, `If-None-Match` is answered 304."
    ),
    responses={304: _HAS_IT, **problem_answers(400, 401, 403, 404, 429, 503)},
)
async def signed_entitlements(
    request: Request[Any, Any, Any],
    account: FromPath[str],
    features: NamedDependency[FeatureList],
    facts: NamedDependency[FactsReader],
    tokens: NamedDependency[Tokens],
    at: NamedDependency[datetime],
) -> ASGIResponse:
    """Answer about everything, signed."""
    question = ask(account, request.query_params.multi_items())
    if question.at is not None:
        fault = Fault("at", "unknown_parameter", "A signed answer is about this moment")
        raise Malformed("The question cannot be understood; `errors` names every fault.", faults=(fault,))
    plain, valid_until = await whole(facts, features, question, at, at)
    sealed = tokens.of(account, plain, valid_until, at)
    return _answer(request, sealed.body, _JWT, sealed.etag, sealed.cache_control)


@route(
    "/.well-known/jwks.json",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=_named("getSigningKeys"),
    summary="The keys that prove signed answers",
    description=(
        "A JWK set (RFC 7517), open to all. A key is here before it first signs and stays while anything that it"
        " signed is good. Keep it as `Cache-Control` says; on a `kid` that is not in it, ask again."
    ),
    responses={200: ResponseSpec(PublicKeys, generate_examples=False, description="The public keys"), 304: _HAS_IT},
    tags=["Entitlements"],
)
async def signing_keys(request: Request[Any, Any, Any], keys: NamedDependency[SigningKeys]) -> ASGIResponse:
    """Publish the keys."""
    body = msgspec.json.encode(keys.public)
    kept = f"public, max-age={KEYS_KEPT}, stale-if-error={answers.KEPT_IN_OUTAGE}"
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return _answer(request, body, MediaType.JSON.value, tag, kept)


def _answer(request: Request[Any, Any, Any], body: bytes, kind: str, etag: str, kept: str) -> ASGIResponse:
    headers = {"etag": etag, "cache-control": kept}
    if answers.matches(", ".join(request.headers.getall("if-none-match", [])) or None, etag):
        return ASGIResponse(status_code=304, headers=headers)
    headers |= {"content-type": kind, "content-length": str(len(body))}
    if request.method == HttpMethod.HEAD:
        return ASGIResponse(headers=headers, is_head_response=True)
    return ASGIResponse(body=body, headers=headers)


tokens_router = Router(
    path="/v1",
    route_handlers=[signed_entitlements],
    guards=[requires("entitlements:read")],
    tags=["Entitlements"],
)
