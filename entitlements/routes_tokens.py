"""Signed answers to carry away, and the keys that prove them."""

from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from litestar import Request, Router, route
from litestar.di import NamedDependency
from litestar.openapi.spec import Operation
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from billing.kernel.errors import Fault, Malformed
from billing.kernel.signing import PublicKeys, SigningKeys
from billing.kernel.web import QUESTIONS, answer_as, problem_answers, requires
from entitlements.answers import KEPT_IN_OUTAGE, Sealed, tag_of
from entitlements.describe import ACCOUNT_QUERY
from entitlements.questions import ask
from entitlements.telling import HAS_IT, READ, answer, named
from entitlements.tokens import Tokens
from entitlements.whole import whole
from entitlements.window import Window, given

KEYS_KEPT: Final = 300
"""Seconds for which anybody may keep the published keys: how long before it signs a new key must be published."""
_JWT: Final = "application/jwt"


@dataclass
class _TokenQuestion(Operation):
    """A question about one account as it stands now; query and answer are described by hand."""

    def __post_init__(self) -> None:
        asked = [each for each in ACCOUNT_QUERY if each["name"] != "at"]
        self.parameters = cast("Any", [*(self.parameters or []), *asked])
        signed = {"description": "A compact JWS", "content": {_JWT: {"schema": {"type": "string"}}}}
        self.responses = (self.responses or {}) | cast("Any", {"200": signed})


@Window(
    "/accounts/{account:str}/entitlements.jwt",
    http_method=READ,
    operation_id=named("getSignedEntitlements"),
    operation_class=_TokenQuestion,
    summary="What may this account use, signed?",
    description=(
        "The answer of `GET /v1/accounts/{account}/entitlements` as an ES256 token that an app can trust without a"
        " network: its claims are the fields of that answer, with `iss` (our public address), `aud`, `sub` (the"
        " account), `iat` and `exp`. `exp` is never past `valid_until` and at most 24 hours away. The keys are at"
        " `/.well-known/jwks.json`. Where you hold the token still, `If-None-Match` is answered 304."
    ),
    responses=HAS_IT | problem_answers(400, 401, 403, 404, 429, 503),
)
async def signed_entitlements(request: Request[Any, Any, Any], account: FromPath[str]) -> ASGIResponse:
    """Answer about everything, signed."""
    features, facts, at = given(request)
    tokens = cast("Tokens", request.app.state.tokens)
    question = ask(account, request.query_params.multi_items())
    if question.at is not None:
        fault = Fault("at", "unknown_parameter", "A signed answer is about this moment")
        raise Malformed("The question cannot be understood; `errors` names every fault.", faults=(fault,))
    plain, valid_until = await whole(facts, features, question, at, at)
    return answer(request, tokens.of(account, plain, valid_until, at), _JWT)


@route(
    "/.well-known/jwks.json",
    http_method=READ,
    operation_id=named("getSigningKeys"),
    summary="The keys that prove signed answers",
    description=(
        "A JWK set (RFC 7517), open to all. A key is here before it first signs and stays while anything that it"
        " signed is good. Keep it as `Cache-Control` says; on a `kid` that is not in it, ask again."
    ),
    responses=answer_as(PublicKeys, "The public keys") | HAS_IT,
    tags=["Entitlements"],
)
async def signing_keys(request: Request[Any, Any, Any], keys: NamedDependency[SigningKeys]) -> ASGIResponse:
    """Publish the keys."""
    body = msgspec.json.encode(keys.public)
    kept = f"public, max-age={KEYS_KEPT}, stale-if-error={KEPT_IN_OUTAGE}"
    return answer(request, Sealed(body, tag_of(body), kept))


tokens_router = Router(
    path="/v1",
    route_handlers=[signed_entitlements],
    guards=[requires("entitlements:read", QUESTIONS)],
    tags=["Entitlements"],
)
