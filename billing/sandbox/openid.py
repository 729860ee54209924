"""A stand-in OpenID provider: anyone may be any of five persons, but every rule of the protocol is kept.

Authorization code flow with PKCE (RFC 7636, S256 only), codes good once and for a minute, ID tokens signed with RS256
(OpenID Connect Core 1.0). Its time is the sandbox's clock, so tokens are fresh however far the clock was moved.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CODE_LIVES = timedelta(seconds=60)
TOKEN_LIVES = timedelta(hours=1)


class Persona(msgspec.Struct, frozen=True):
    """Somebody one can log in as; ``login`` is also the e-mail address."""

    role: str
    login: str
    name: str


PERSONAS = (
    Persona("viewer", "viewer@staff.example", "Wanda Widok"),
    Persona("finance", "finance@staff.example", "Franciszek Faktura"),
    Persona("finance_lead", "finance_lead@staff.example", "Lidia Lider"),
    Persona("auditor", "auditor@staff.example", "Aleksander Audyt"),
    Persona("admin", "admin@staff.example", "Ada Admin"),
)


class Client(msgspec.Struct, frozen=True):
    """The one client known here; it may be answered at addresses that begin with ``redirects_below`` only."""

    client_id: str
    client_secret: str
    redirects_below: str


class Refusal(Exception):
    """An error in OAuth's words (RFC 6749, 4.1.2.1 and 5.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        """``error`` is one of the protocol's codes."""
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


class Authorization(msgspec.Struct, frozen=True):
    """What a log-in was asked for, checked."""

    redirect_uri: str
    state: str | None
    nonce: str | None
    challenge: str


class _Issued(msgspec.Struct, frozen=True):
    authorization: Authorization
    persona: Persona
    at: datetime


class OpenIdProvider:
    """Codes and access tokens live in memory (a minute, an hour); the signing key lives in its file."""

    def __init__(self, issuer: str, client: Client, key_path: Path, now: Callable[[], datetime]) -> None:
        """``issuer`` is the public base address; ``now`` the sandbox's clock."""
        self.issuer = issuer
        self._client = client
        self._key = _key_in(key_path)
        self._now = now
        self._codes: dict[str, _Issued] = {}
        self._access: dict[str, _Issued] = {}

    def discovery(self) -> dict[str, Any]:
        """The provider's description (OpenID Connect Discovery 1.0, 3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout",
            "jwks_uri": f"{self.issuer}/jwks.json",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email", "profile", "roles"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "email", "name", "roles"],
            "authorization_response_iss_parameter_supported": True,
        }

    def jwks(self) -> dict[str, Any]:
        """The public key set."""
        return dict(KeySet([self._key]).as_dict(private=False))

    def check_return(self, asked: Mapping[str, str]) -> str:
        """Where the answer may go. Raises ``Refusal``, which must then be shown, not sent there."""
        if asked.get("client_id") != self._client.client_id:
            raise Refusal("invalid_client", "client_id is not known here")
        address = asked.get("redirect_uri", "")
        if not self.may_return_to(address):
            raise Refusal("invalid_request", f"redirect_uri must begin with {self._client.redirects_below}")
        return address

    def may_return_to(self, address: str) -> bool:
        """True for addresses of the client."""
        return address.startswith(self._client.redirects_below) and ".." not in address and "#" not in address

    def check_authorization(self, asked: Mapping[str, str]) -> Authorization:
        """The request as asked, after ``check_return``. Raises ``Refusal``, to be sent back by redirect."""
        if asked.get("response_type") != "code":
            raise Refusal("unsupported_response_type", "only response_type=code")
        if "openid" not in asked.get("scope", "").split():
            raise Refusal("invalid_scope", "scope must contain openid")
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != _CHALLENGE_LENGTH:
            raise Refusal("invalid_request", "PKCE with S256 is required (code_challenge, code_challenge_method)")
        return Authorization(asked["redirect_uri"], asked.get("state"), asked.get("nonce"), asked["code_challenge"])

    def grant(self, authorization: Authorization, login: str) -> str:
        """A code for that person. Raises ``Refusal``."""
        persona = next((one for one in PERSONAS if login in {one.login, one.role}), None)
        if persona is None:
            raise Refusal("access_denied", "nobody has that login")
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Issued(authorization, persona, self._now())
        return code

    def token(self, form: Mapping[str, str], basic: str | None) -> dict[str, Any]:
        """The tokens for a code, once. Raises ``Refusal``."""
        self._check_client(form, basic)
        if form.get("grant_type") != "authorization_code":
            raise Refusal("unsupported_grant_type", "only grant_type=authorization_code")
        now = self._now()
        issued = self._codes.pop(form.get("code", ""), None)
        if issued is None or not timedelta(0) <= now - issued.at <= CODE_LIVES:
            raise Refusal("invalid_grant", "the code is unknown, used or older than 60 seconds")
        if form.get("redirect_uri") != issued.authorization.redirect_uri:
            raise Refusal("invalid_grant", "redirect_uri is not the one the code was asked with")
        if not hmac.compare_digest(_challenge(form.get("code_verifier", "")), issued.authorization.challenge):
            raise Refusal("invalid_grant", "code_verifier does not fit the code_challenge")
        access = secrets.token_urlsafe(32)
        self._access[access] = _Issued(issued.authorization, issued.persona, now)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(TOKEN_LIVES.total_seconds()),
            "scope": "openid email profile roles",
            "id_token": self._id_token(issued, now),
        }

    def userinfo(self, access_token: str) -> dict[str, Any]:
        """Who an access token speaks of. Raises ``Refusal``."""
        issued = self._access.get(access_token)
        if issued is None or self._now() - issued.at > TOKEN_LIVES:
            raise Refusal("invalid_token", "the access token is unknown or over", 401)
        return _claims(issued.persona)

    def _check_client(self, form: Mapping[str, str], basic: str | None) -> None:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if basic is not None:
            try:
                name, _, secret = base64.b64decode(basic, validate=True).decode().partition(":")
            except ValueError as error:
                raise Refusal("invalid_client", "the Authorization header cannot be read", 401) from error
        known = hmac.compare_digest(name.encode(), self._client.client_id.encode())
        if not (known and hmac.compare_digest(secret.encode(), self._client.client_secret.encode())):
            raise Refusal("invalid_client", "client_id or client_secret is wrong", 401)

    def _id_token(self, issued: _Issued, now: datetime) -> str:
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self._client.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + TOKEN_LIVES).timestamp()),
            "auth_time": int(issued.at.timestamp()),
            **_claims(issued.persona),
        }
        if issued.authorization.nonce is not None:
            claims["nonce"] = issued.authorization.nonce
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": self._key.kid}, claims, self._key)


_CHALLENGE_LENGTH = 43


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _claims(persona: Persona) -> dict[str, Any]:
    return {
        "sub": f"sandbox-{persona.role}",
        "email": persona.login,
        "email_verified": True,
        "name": persona.name,
        "roles": [persona.role],
    }


def _key_in(path: Path) -> RSAKey:
    """The signing key kept there, made at the first start, readable by us alone."""
    if path.exists():
        return RSAKey.import_key(json.loads(path.read_text(encoding="utf-8")))
    key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig", "alg": "RS256"})
    path.touch(mode=0o600)
    path.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
    return key
