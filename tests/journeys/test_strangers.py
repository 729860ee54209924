"""Programs of strangers, unchanged, against the running product: OpenFeature's own provider for Python, another token
library. The providers of npm are asked in :mod:`tests.journeys.test_strangers_of_npm`."""

from collections.abc import Iterator
from typing import Any

import httpx2
import jwt
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from tests.family import Family, instant
from tests.hand import Hand

pytestmark = pytest.mark.slow


@pytest.fixture
def flags(hand: Hand, key: str) -> Iterator[OpenFeatureClient]:
    """OpenFeature's client over its OFREP provider, as its documentation shows."""
    provider = OFREPProvider(hand.url, headers_factory=lambda: {"Authorization": f"Bearer {key}"})
    api.set_provider(provider, domain="strangers")
    yield api.get_client("strangers")
    provider.session.close()
    api.shutdown()


def context(family: Family, **changes: Any) -> EvaluationContext:
    told = {"channel": "mobile", "pupil": family.pupil, "app_version": "7.1"} | changes
    return EvaluationContext(family.account, {name: value for name, value in told.items() if value is not None})


def test_openfeatures_own_provider_reads_the_trial_its_end_and_the_basic_version(hand: Hand, flags: OpenFeatureClient):
    family = hand.family("openfeature")
    for feature in ("messages", "grades"):
        found = flags.get_boolean_details(feature, False, context(family))
        plain = hand.answer(family, feature=feature)
        assert (found.value, found.variant, found.error_code) == (plain["allowed"], plain["reason"], None)
        assert found.flag_metadata.get("valid_until") == plain["valid_until"]
    assert flags.get_boolean_details("messages", False, context(family)).reason == Reason.TARGETING_MATCH
    assert flags.get_boolean_value("messages", False, context(family, channel="web", pupil=None)) is True
    hand.end_trial(family)
    ended = flags.get_boolean_details("messages", True, context(family))
    assert (ended.value, ended.variant, ended.error_code) == (False, "trial_ended", None)
    assert flags.get_boolean_value("grades", False, context(family)) is True


def test_openfeatures_own_provider_understands_what_goes_wrong(hand: Hand, flags: OpenFeatureClient, key: str):
    family = hand.family("openfeature-wrong")
    wrong = {
        ErrorCode.FLAG_NOT_FOUND: ("telepathy", context(family)),
        ErrorCode.INVALID_CONTEXT: ("messages", context(family, channel=None)),
        ErrorCode.TARGETING_KEY_MISSING: ("messages", EvaluationContext(None, {"channel": "mobile"})),
    }
    for code, (feature, asked) in wrong.items():
        found = flags.get_boolean_details(feature, True, asked)
        assert (found.value, found.error_code) == (True, code), found.error_message
    typed = flags.get_string_details("messages", "none", context(family))
    assert (typed.value, typed.error_code) == ("none", ErrorCode.TYPE_MISMATCH)
    for headers, code in (
        ({"X-API-Key": key}, None),
        ({"X-API-Key": "nonsense"}, ErrorCode.GENERAL),
        ({}, ErrorCode.GENERAL),
    ):
        provider = OFREPProvider(hand.url, headers_factory=lambda sent=headers: sent)
        api.set_provider(provider, domain="other-key")
        found = api.get_client("other-key").get_boolean_details("messages", False, context(family))
        assert (found.error_code, found.value) == (code, code is None)
        provider.session.close()


def test_a_stranger_proves_the_signed_answer_from_the_published_keys_s62(hand: Hand, key: str):
    family = hand.family("signed")
    path = f"/v1/accounts/{family.account}/entitlements"
    asked: Any = {"params": {"channel": "mobile"}, "headers": {"Authorization": f"Bearer {key}"}}
    token = httpx2.get(f"{hand.url}{path}.jwt", trust_env=False, **asked)
    assert token.headers["content-type"] == "application/jwt"
    signing_key = jwt.PyJWKClient(f"{hand.url}/.well-known/jwks.json").get_signing_key_from_jwt(token.text)
    # The sandbox's clock may be months ahead of the one that the library reads.
    late: Any = {"verify_iat": False, "require": ["iss", "aud", "sub", "iat", "exp"]}
    claims = jwt.decode(
        token.text, signing_key, algorithms=["ES256"], audience="mobile-app", issuer=hand.url, options=late
    )
    plain = hand.api("GET", path, params={"channel": "mobile"})
    assert {name: claims[name] for name in plain if name != "as_of"} == {
        name: value for name, value in plain.items() if name != "as_of"
    }
    assert claims["sub"] == family.account
    assert claims["iat"] < claims["exp"] <= claims["iat"] + 86_400
    assert claims["exp"] <= instant(plain["valid_until"]).timestamp()
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token.text, signing_key, algorithms=["ES256"], audience="another", options=late)
