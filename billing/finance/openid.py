"""Proving who a member of staff is: OpenID Connect's authorization code flow with PKCE, state and nonce.

Only the network is used here, never the database. What a log-in under way has to remember is derived from one random
value in the browser's own cookie, so that nothing is kept for people who never come back.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from billing.kernel.errors import Forbidden, Unavailable
from billing.kernel.tokens import pseudonym

ALGORITHMS: Final = ("RS256", "PS256", "ES256")
SCOPE: Final = "openid email profile"
ATTEMPT_LIVES: Final = timedelta(minutes=10)
_FRESH: Final = timedelta(hours=1)
_KEYS_AGAIN: Final = timedelta(minutes=1)
_LEEWAY: Final = 60
_TIMEOUT: Final = 5.0
_LONGEST_SUBJECT: Final = 255


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The provider, and how it knows us. `public_url` is our own address, where the provider sends people back to."""

    issuer: str
    client_id: str
    client_secret: str
    roles_claim: str
    public_url: str

    @property
    def callback(self) -> str:
        """The one address the provider may answer at."""
        return f"{self.public_url}/finance/callback"


class LoginFailed(Forbidden):
    """The answer of the provider does not prove who somebody is."""


class Attempt(msgspec.Struct, frozen=True):
    """A log-in under way; `cookie` is all that is kept of it, by the browser that began it."""

    cookie: str
    state: str
    nonce: str
    verifier: str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who the provider says it is; `claims` are those of the verified ID token."""

    subject: str
    name: str
    email: str
    claims: dict[str, Any]


class Provider(msgspec.Struct, frozen=True):
    """What discovery tells (OpenID Connect Discovery 1.0, 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    authorization_response_iss_parameter_supported: bool = False


def begin_attempt(secret: str, at: datetime) -> Attempt:
    """A fresh attempt."""
    return _attempt(secret, f"{int(at.timestamp())}.{secrets.token_urlsafe(32)}")


def resume_attempt(secret: str, cookie: str | None, state: str | None, at: datetime) -> Attempt:
    """The attempt that this browser began. Raises LoginFailed for another browser's, an old or a made-up one."""
    began, _, _ = (cookie or "").partition(".")
    if cookie is None or state is None or not (began.isascii() and began.isdigit()):
        raise LoginFailed("This log-in was not begun in this browser.")
    attempt = _attempt(secret, cookie)
    if not hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "surrogatepass")):
        raise LoginFailed("The answer belongs to another log-in.")
    if not 0 <= int(at.timestamp()) - int(began) <= ATTEMPT_LIVES.total_seconds():
        raise LoginFailed("This log-in took too long.")
    return attempt


def _attempt(secret: str, cookie: str) -> Attempt:
    state, nonce, verifier = (pseudonym(secret, f"finance.{name}", cookie).hex() for name in ("state", "nonce", "pkce"))
    return Attempt(cookie, state, nonce, verifier)


class OpenIdClient:
    """Speaks with the provider. Discovery and keys are kept for an hour; an unknown key is asked for at once."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._provider: tuple[datetime, Provider] | None = None
        self._keys: tuple[datetime, KeySet] | None = None

    async def way_in(self, attempt: Attempt, at: datetime) -> str:
        """Where the browser goes to log in. Raises Unavailable."""
        provider = await self._discover(at)
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                provider.authorization_endpoint,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(url)

    async def who(self, attempt: Attempt, code: str | None, issuer: str | None, at: datetime) -> Person:
        """Who logged in. Raises LoginFailed, Unavailable."""
        if not code:
            raise LoginFailed("The provider refused the log-in.")
        provider = await self._discover(at)
        must_name = provider.authorization_response_iss_parameter_supported
        if issuer != provider.issuer and (must_name or issuer is not None):
            raise LoginFailed("The answer comes from another provider.")
        try:
            async with self._client() as client:
                token = await client.fetch_token(
                    provider.token_endpoint, code=code, code_verifier=attempt.verifier, grant_type="authorization_code"
                )
        except (AuthlibBaseError, ValueError) as fault:
            raise LoginFailed("The provider did not accept the code.") from fault
        except httpx2.HTTPError as fault:
            raise _no_answer() from fault
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise LoginFailed("The provider gave no ID token.")
        return await self._verified(provider, id_token, attempt.nonce, at)

    async def _verified(self, provider: Provider, id_token: str, nonce: str, at: datetime) -> Person:
        keys = await self._key_set(provider, at, _FRESH)
        try:
            return verified(id_token, keys, self.settings, nonce, at)
        except UnknownKey:
            keys = await self._key_set(provider, at, _KEYS_AGAIN)
            return verified(id_token, keys, self.settings, nonce, at)

    async def _discover(self, at: datetime) -> Provider:
        if self._provider is None or not self._provider[0] <= at < self._provider[0] + _FRESH:
            told = await _get(f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            try:
                provider = msgspec.json.decode(told, type=Provider)
            except msgspec.MsgspecError as fault:
                raise _no_answer() from fault
            ways = (provider.authorization_endpoint, provider.token_endpoint, provider.jwks_uri)
            scheme = self.settings.issuer.partition(":")[0]
            if provider.issuer != self.settings.issuer or not all(way.startswith(f"{scheme}://") for way in ways):
                raise _no_answer()
            self._provider = (at, provider)
        return self._provider[1]

    async def _key_set(self, provider: Provider, at: datetime, fresh: timedelta) -> KeySet:
        if self._keys is None or not self._keys[0] <= at < self._keys[0] + fresh:
            told = await _get(provider.jwks_uri)
            try:
                self._keys = (at, KeySet.import_key_set(msgspec.json.decode(told)))
            except (JoseError, msgspec.MsgspecError, ValueError, KeyError, TypeError) as fault:
                raise _no_answer() from fault
        return self._keys[1]

    def _client(self) -> Any:
        ours = self.settings
        return AsyncOAuth2Client(
            client_id=ours.client_id,
            client_secret=ours.client_secret,
            scope=SCOPE,
            redirect_uri=ours.callback,
            code_challenge_method="S256",
            timeout=_TIMEOUT,
        )


class UnknownKey(LoginFailed):
    """The ID token names a key that is not among those known."""


def verified(id_token: str, keys: KeySet, settings: OidcSettings, nonce: str, at: datetime) -> Person:
    """The person an ID token proves (OpenID Connect Core 1.0, 3.1.3.7). Raises LoginFailed."""
    registry = jwt.JWTClaimsRegistry(
        now=int(at.timestamp()),
        leeway=_LEEWAY,
        iss={"essential": True, "value": settings.issuer},
        aud={"essential": True, "value": settings.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        token = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
        registry.validate(token.claims)
    except InvalidKeyIdError as fault:
        raise UnknownKey("The ID token names an unknown key.") from fault
    except (JoseError, ValueError, TypeError) as fault:
        raise LoginFailed(f"The ID token does not hold: {type(fault).__name__}.") from fault
    claims: dict[str, Any] = dict(token.claims)
    audience = claims["aud"]
    if isinstance(audience, list) and audience != [settings.client_id] and claims.get("azp") is None:
        raise LoginFailed("The ID token is for several parties and does not say for whom.")
    if claims.get("azp", settings.client_id) != settings.client_id:
        raise LoginFailed("The ID token is for another party.")
    subject = claims["sub"]
    if not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise LoginFailed("The ID token names nobody.")
    email, name = str(claims.get("email") or ""), str(claims.get("name") or "")
    return Person(subject=subject, name=name or email or subject, email=email, claims=claims)


async def _get(url: str) -> bytes:
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
            answer = await client.get(url, headers={"Accept": "application/json"})
            answer.raise_for_status()
            return answer.content
    except httpx2.HTTPError as fault:
        raise _no_answer() from fault


def _no_answer() -> Unavailable:
    return Unavailable("The log-in provider does not answer.", retry_after=10)
