"""The OpenID provider by HTTP, below ``/sandbox/openid``."""

from typing import Any
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.response import Redirect

from billing.sandbox.openid import PERSONAS, OpenIdProvider, Refusal
from billing.sandbox.web import AnyRequest, json_answer, page

_KNOWN = ("client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge",
          "code_challenge_method")  # fmt: skip


def openid_router(provider: OpenIdProvider) -> Router:
    """Everything below ``/sandbox/openid``."""
    return Router("/sandbox/openid", route_handlers=[*_for_people(provider), *_for_programs(provider)])


def _for_people(provider: OpenIdProvider) -> list[Any]:
    """The page to choose a person, and log-out."""

    @get("/authorize")
    async def authorize(request: AnyRequest) -> Response[Any]:
        """The page to choose a person; ``login_hint`` naming one skips it."""
        asked = {name: request.query_params[name] for name in _KNOWN if name in request.query_params}
        return _answer(provider, asked, request.query_params.get("login_hint"))

    @post("/authorize")
    async def choose(request: AnyRequest) -> Response[Any]:
        form = await request.form()
        asked = {name: str(form[name]) for name in _KNOWN if name in form}
        return _answer(provider, asked, str(form.get("login") or "nobody"))

    @get("/logout")
    async def logout(request: AnyRequest) -> Response[Any]:
        address = request.query_params.get("post_logout_redirect_uri", "")
        return Redirect(address, status_code=303) if provider.may_return_to(address) else page("logged_out.html")

    return [authorize, choose, logout]


def _for_programs(provider: OpenIdProvider) -> list[Any]:
    """Discovery, keys, tokens and user info."""

    @get("/.well-known/openid-configuration")
    async def discovery() -> Response[bytes]:
        return json_answer(provider.discovery())

    @get("/jwks.json")
    async def jwks() -> Response[bytes]:
        return json_answer(provider.jwks())

    @post("/token")
    async def token(request: AnyRequest) -> Response[bytes]:
        form = {name: str(value) for name, value in (await request.form()).items()}
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        try:
            return json_answer(provider.token(form, credentials if scheme.lower() == "basic" else None))
        except Refusal as refusal:
            return _error(refusal)

    @get("/userinfo")
    async def userinfo(request: AnyRequest) -> Response[bytes]:
        try:
            return json_answer(provider.userinfo(request.headers.get("authorization", "").partition(" ")[2]))
        except Refusal as refusal:
            return _error(refusal)

    return [discovery, jwks, token, userinfo]


def _answer(provider: OpenIdProvider, asked: dict[str, str], login: str | None) -> Response[Any]:
    """The page, or the way back to the client; a request that may not be answered there is shown here."""
    try:
        back = provider.check_return(asked)
    except Refusal as refusal:
        return page("refused.html", refusal.status, refusal=refusal)
    try:
        authorization = provider.check_authorization(asked)
        if login is None:
            return page("authorize.html", personas=PERSONAS, asked=asked)
        return _back(provider, back, authorization.state, {"code": provider.grant(authorization, login)})
    except Refusal as refusal:
        told = {"error": refusal.error, "error_description": refusal.description}
        return _back(provider, back, asked.get("state"), told)


def _back(provider: OpenIdProvider, address: str, state: str | None, told: dict[str, str]) -> Response[Any]:
    facts = {**told, **({} if state is None else {"state": state}), "iss": provider.issuer}
    return Redirect(f"{address}{'&' if '?' in address else '?'}{urlencode(facts)}", status_code=303)


def _error(refusal: Refusal) -> Response[bytes]:
    answer = json_answer({"error": refusal.error, "error_description": refusal.description}, refusal.status)
    if refusal.status == 401:  # noqa: PLR2004 - RFC 9110, 15.5.2
        answer.headers["WWW-Authenticate"] = "Basic" if refusal.error == "invalid_client" else "Bearer"
    return answer
