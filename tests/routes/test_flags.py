"""OFREP in the whole product: what the framework and the door refuse is told in the protocol's shape too."""

import redis.asyncio

from billing.sandbox.valkey import EmbeddedValkey
from tests.routes.house import Api

ONE, ALL = "/ofrep/v1/evaluate/flags/messages", "/ofrep/v1/evaluate/flags"
ASKED = {"context": {"targetingKey": "a1", "channel": "mobile"}}


async def test_the_flags_of_a_family_are_its_decisions(api: Api):
    await api.family()
    flags = {each["key"]: each for each in (await api.told("POST", ALL, ASKED))["flags"]}
    whole = await api.told("GET", "/v1/accounts/a1/entitlements", params={"channel": "mobile"})
    told = {each["feature"]: (each["allowed"], each["reason"]) for each in whole["pupils"][0]["features"]}
    told |= dict.fromkeys(whole["basic"], (True, "basic"))
    assert {key: (flag["value"], flag["variant"]) for key, flag in flags.items()} == told
    assert await api.told("POST", ONE, ASKED) == flags["messages"]


async def test_too_large_a_body_and_a_spent_limit_are_told_in_the_protocols_shape(api: Api, valkey: EmbeddedValkey):
    for path in (ONE, ALL):
        large = await api.ask("POST", path, b" " * 1_000_001)
        assert (large.status_code, large.json()["code"]) == (413, "payload_too_large")
        assert large.json()["errorCode"] == "GENERAL"
        assert large.json()["request_id"] == large.headers["x-request-id"]
    store = redis.asyncio.Redis.from_url(valkey.url())
    seconds, _ = await store.time()
    await store.set(f"limit:questions:{api.key_ids['entitlements:read']}", (seconds + 20) * 1_000_000, ex=30)
    await store.aclose()
    spent = await api.ask("POST", ONE, ASKED, scope="entitlements:read")
    assert (spent.status_code, spent.json()["errorCode"], spent.json()["code"]) == (429, "GENERAL", "rate_limited")
    assert int(spent.headers["retry-after"]) > 0
    assert spent.headers["ratelimit"].startswith('"questions";r=0')


async def test_an_address_beside_the_flags_is_not_there(api: Api):
    for method, path in (("GET", ONE), ("POST", "/ofrep/v1/configuration"), ("PUT", ALL)):
        assert (await api.ask(method, path)).status_code in {404, 405}, path
