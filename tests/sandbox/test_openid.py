"""The OpenID provider keeps the protocol's rules, so that the product's log-in is tested against a strict one."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.common.security import generate_token
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.sandbox.conftest import Outside

VERIFIER = generate_token(48)


def ask(outside: Outside, **other: str | None) -> dict[str, str]:
    given: dict[str, str | None] = {
        "client_id": outside.home.oidc_client.client_id,
        "redirect_uri": f"{outside.home.public_url}/finance/callback",
        "response_type": "code",
        "scope": "openid email profile",
        "state": "st&te",
        "nonce": "n-1",
        "code_challenge": create_s256_code_challenge(VERIFIER),
        "code_challenge_method": "S256",
        **other,
    }
    return {name: value for name, value in given.items() if value is not None}


def discovered(outside: Outside) -> dict[str, Any]:
    return outside.client.get("/sandbox/openid/.well-known/openid-configuration").json()


def returned(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 303
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def code_for(outside: Outside, login: str, **other: str | None) -> str:
    answer = outside.client.post(
        discovered(outside)["authorization_endpoint"], data={**ask(outside, **other), "login": login}
    )
    return returned(answer)["code"]


def redeem(outside: Outside, code: str, *, basic: bool = True, **other: str) -> httpx2.Response:
    client = outside.home.oidc_client
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{outside.home.public_url}/finance/callback",
        "code_verifier": VERIFIER,
        **({} if basic else {"client_id": client.client_id, "client_secret": client.client_secret}),
        **other,
    }
    endpoint = discovered(outside)["token_endpoint"]
    if basic:
        return outside.client.post(endpoint, data=form, auth=(client.client_id, client.client_secret))
    return outside.client.post(endpoint, data=form)


@pytest.mark.parametrize("role", ["viewer", "finance", "finance_lead", "auditor", "admin"])
def test_a_person_chosen_on_the_page_comes_back_with_a_signed_role(outside: Outside, role: str) -> None:
    shown = outside.client.get(discovered(outside)["authorization_endpoint"], params=ask(outside))
    login = next(
        found for found in re.findall(r'name="login" value="([^"]+)"', shown.text) if found.startswith(f"{role}@")
    )
    told = returned(outside.client.post("/sandbox/openid/authorize", data={**ask(outside), "login": login}))
    assert told["state"] == "st&te"
    assert told["iss"] == discovered(outside)["issuer"]
    tokens = redeem(outside, told["code"]).json()
    keys = KeySet.import_key_set(outside.client.get(discovered(outside)["jwks_uri"]).json())
    token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
    assert token.claims["roles"] == [role]
    assert token.claims["nonce"] == "n-1"
    assert token.claims["aud"] == outside.home.oidc_client.client_id
    assert token.claims["iss"] == discovered(outside)["issuer"]
    assert token.claims["email"] == login
    assert token.claims["exp"] - token.claims["iat"] == 3600
    who = outside.client.get("/sandbox/openid/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert who.json()["sub"] == token.claims["sub"]


def test_a_code_is_good_once(outside: Outside) -> None:
    code = code_for(outside, "finance")
    assert redeem(outside, code, basic=False).status_code == 200
    again = redeem(outside, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_a_code_is_good_for_sixty_seconds(outside: Outside) -> None:
    code = code_for(outside, "finance")
    outside.client.post("/sandbox/clock", json={"advance": "PT61S"})
    assert redeem(outside, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("wrong", "error", "status"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant", 400),
        ({"redirect_uri": "http://127.0.0.1:1/finance/other"}, "invalid_grant", 400),
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({"client_secret": "wrong"}, "invalid_client", 401),
        ({"client_id": "wrong"}, "invalid_client", 401),
        ({"code": "wrong"}, "invalid_grant", 400),
    ],
)
def test_a_token_is_refused_in_oauths_words(outside: Outside, wrong: dict[str, str], error: str, status: int) -> None:
    answer = redeem(outside, **{"code": code_for(outside, "finance"), **wrong}, basic=False)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
    ],
)
def test_a_bad_request_goes_back_to_the_client(outside: Outside, wrong: dict[str, str | None], error: str) -> None:
    told = returned(outside.client.get("/sandbox/openid/authorize", params=ask(outside, **wrong)))
    assert told["error"] == error
    assert "code" not in told


@pytest.mark.parametrize(
    "wrong",
    [{"client_id": "other"}, {"redirect_uri": "https://evil.example/finance/"}, {"redirect_uri": None}],
)
def test_a_foreign_address_is_never_redirected_to(outside: Outside, wrong: dict[str, str | None]) -> None:
    answer = outside.client.get("/sandbox/openid/authorize", params={**ask(outside, **wrong), "login_hint": "admin"})
    assert answer.status_code == 400
    assert "location" not in answer.headers
