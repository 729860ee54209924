"""Signed answers: what they say, how long they hold, and that strangers can prove them and nobody can forge them."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import msgspec
import pytest
from httpx2 import AsyncClient as Client
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError
from joserfc.jwk import ECKey, KeySet, OctKey

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.signing import read_keys
from entitlements import answers, service
from entitlements.reader import FactsReader
from entitlements.tokens import LONGEST, MOVES, Tokens, ends_at
from tests.entitlements.conftest import FEATURES, NOWHERE, asking
from tests.entitlements.doors import AUDIENCE, GRANTS, ISSUER, doors, new_key, settle_town

pytestmark = pytest.mark.anyio

KEY, OLD = new_key("2026-09"), new_key("2026-03")
SIGNED = "/v1/accounts/big/entitlements.jwt"
MOBILE = {"channel": "mobile"}
DAY = timedelta(days=1)


def keys_of(*keys: dict[str, Any]) -> Any:
    return read_keys(msgspec.json.encode({"keys": list(keys)}).decode())


@pytest.fixture
async def client(database: Database, clock: FixedClock, key: str, at: datetime) -> AsyncIterator[Client]:
    """Asks a desk that signs, in a town where every kind of answer occurs."""
    await settle_town(database, at)
    async with asking(doors(database, FactsReader(database), clock, keys_of(KEY, OLD)), key) as made:
        yield made


async def signed(client: Client, path: str = SIGNED, **query: str) -> str:
    answer = await client.get(path, params=MOBILE | query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt"), answer.text
    return answer.text


async def published(client: Client) -> KeySet:
    return KeySet.import_key_set((await client.get("/.well-known/jwks.json")).json())


def proved(token: str, keys: KeySet, at: datetime, **wanted: Any) -> dict[str, Any]:
    """What a stranger who holds nothing but the published keys reads at `at`."""
    found = jwt.decode(token, keys, algorithms=["ES256"])
    names = {"iss": ISSUER, "aud": AUDIENCE} | wanted
    must: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in names.items()}
    registry = jwt.JWTClaimsRegistry(now=int(at.timestamp()), iat={"essential": True}, exp={"essential": True}, **must)
    registry.validate(found.claims)
    return found.claims


async def test_the_claims_are_the_plain_answer_and_who_when_for_whom(client: Client, at: datetime):
    for account in ("big", "small", "empty"):
        for query in ({}, {"pupil": "trial"}, {"channel": "web"}, {"consistency": "strong"}):
            path = f"/v1/accounts/{account}/entitlements"
            claims = proved(await signed(client, f"{path}.jwt", **query), await published(client), at, sub=account)
            assert claims.pop("iat") == int(at.timestamp())
            assert int(at.timestamp()) < claims.pop("exp") <= int((at + LONGEST).timestamp())
            assert [claims.pop(name) for name in ("iss", "aud", "sub")] == [ISSUER, AUDIENCE, account]
            assert claims == (await client.get(path, params=MOBILE | query)).json()


async def test_another_library_proves_it_too(client: Client):
    token = await signed(client)
    keys = pyjwt.PyJWKSet.from_dict((await client.get("/.well-known/jwks.json")).json())
    kid = pyjwt.get_unverified_header(token)["kid"]
    (key,) = (each for each in keys.keys if each.key_id == kid)
    options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "sub", "iss", "aud"]}
    claims = pyjwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER, options=options)
    assert {row["pupil"] for row in claims["pupils"]} == {*GRANTS, "blocked"}
    assert pyjwt.get_unverified_header(token) == {"alg": "ES256", "kid": "2026-09", "typ": "JWT"}


async def test_at_every_instant_it_says_what_the_plain_answer_says_and_ends_no_later(
    client: Client, clock: FixedClock, at: datetime
):
    for days in (0.0, 0.5, 0.99999, 1, 5.9, 6, 19.5, 20, 89.9999, 90, 300):
        clock.move(at + DAY * days)
        claims = proved(await signed(client), await published(client), clock.now())
        plain = (await client.get("/v1/accounts/big/entitlements", params=MOBILE)).json()
        assert {name: claims[name] for name in plain if name != "as_of"} | {"as_of": plain["as_of"]} == plain
        ends = datetime.fromtimestamp(claims["exp"], UTC)
        assert ends <= clock.now() + LONGEST
        if plain["valid_until"] is not None:
            assert ends <= datetime.fromisoformat(plain["valid_until"])


async def test_it_is_signed_once_until_the_answer_or_its_end_moves(
    client: Client, database: Database, clock: FixedClock, at: datetime
):
    first = await signed(client, pupil="granted")
    exp = ends_at("big", None, at)
    moves_at = datetime.fromtimestamp(exp, UTC) - LONGEST + MOVES
    clock.move(moves_at - timedelta(milliseconds=1))
    assert await signed(client, pupil="granted") == first
    clock.move(moves_at)
    later = await signed(client, pupil="granted")
    assert proved(later, await published(client), moves_at)["exp"] == exp + int(MOVES.total_seconds())
    async with database.begin() as session:
        await service.put_school_blocks(session, "sp5", ["messages"], clock.now())
    blocked = await signed(client, pupil="granted")
    said = proved(blocked, await published(client), moves_at)["pupils"][0]["features"]
    assert {each["feature"]: each["reason"] for each in said}["messages"] == "blocked_by_school"


async def test_the_caller_who_holds_it_gets_304_until_it_must_be_taken_again(
    client: Client, clock: FixedClock, at: datetime
):
    asked: Any = {"params": MOBILE | {"pupil": "granted"}}
    first = await client.get(SIGNED, **asked)
    assert first.headers["cache-control"] == "private, max-age=5, stale-if-error=86400"
    again = await client.get(SIGNED, headers={"if-none-match": first.headers["etag"]}, **asked)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    head = await client.head(SIGNED, **asked)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    clock.move(at + MOVES)
    moved = await client.get(SIGNED, headers={"if-none-match": first.headers["etag"]}, **asked)
    assert (moved.status_code, moved.headers["etag"] != first.headers["etag"]) == (200, True)


async def test_two_processes_give_the_same_validator(database: Database, clock: FixedClock, key: str, at: datetime):
    await settle_town(database, at)
    tags: set[str] = set()
    for _ in range(2):
        async with asking(doors(database, FactsReader(database), clock, keys_of(KEY)), key) as one:
            tags.add((await one.get(SIGNED, params=MOBILE)).headers["etag"])
            clock.move(clock.now() + timedelta(seconds=2))
    assert len(tags) == 1


async def test_it_is_useless_for_another_account_after_its_end_or_with_another_key_s62(client: Client, at: datetime):
    token, keys = await signed(client), await published(client)
    claims = proved(token, keys, at)
    with pytest.raises(ExpiredTokenError):
        proved(token, keys, datetime.fromtimestamp(claims["exp"] + 1, UTC))
    with pytest.raises(JoseError):
        proved(token, keys, at, sub="small")
    with pytest.raises(JoseError):
        proved(token, keys, at, aud="another-app")
    with pytest.raises(BadSignatureError):
        proved(token, KeySet([ECKey.import_key(new_key("2026-09"))]), at)
    head, body, signature = token.split(".")
    other = (await signed(client, "/v1/accounts/small/entitlements.jwt")).split(".")
    with pytest.raises(BadSignatureError):
        proved(f"{head}.{other[1]}.{signature}", keys, at)
    public = msgspec.json.encode(keys.as_dict()["keys"][0])
    forged = [
        jwt.encode({"alg": "HS256", "kid": "2026-09"}, claims, OctKey.import_key(public), algorithms=["HS256"]),
        f"eyJhbGciOiJub25lIn0.{body}.",
    ]
    for each in forged:
        with pytest.raises((JoseError, ValueError)):
            proved(each, keys, at)


async def test_a_clock_of_today_refuses_the_token_of_an_earlier_year(client: Client, clock: FixedClock, at: datetime):
    """The library's own idea of now: nothing of ours takes part."""
    clock.move(datetime(2020, 9, 1, tzinfo=UTC))
    token = await signed(client)
    assert time.gmtime().tm_year > 2020
    key = pyjwt.PyJWK.from_dict((await client.get("/.well-known/jwks.json")).json()["keys"][0])
    with pytest.raises(pyjwt.ExpiredSignatureError):
        pyjwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER)


async def test_a_rotated_key_leaves_old_tokens_good_s63(
    database: Database, clock: FixedClock, key: str, at: datetime, client: Client
):
    """Published first, signing second, retired third; of the retired one only the public part is still there."""
    fresh = new_key("2027-03")
    retired = {name: value for name, value in KEY.items() if name != "d"}
    steps = ((KEY,), (KEY, fresh), (fresh, retired), (fresh,))
    tokens: list[str] = []
    kept: list[KeySet] = []
    for step in steps:
        async with asking(doors(database, FactsReader(database), clock, keys_of(*step)), key) as desk:
            tokens.append(await signed(desk))
            kept.append(await published(desk))
    signers = [pyjwt.get_unverified_header(token)["kid"] for token in tokens]
    assert signers == ["2026-09", "2026-09", "2027-03", "2027-03"]
    for step in (1, 2):  # whoever holds the keys of one step can prove what was signed in the one before and after
        for token in tokens:
            assert proved(token, kept[step], at)["sub"] == "big"
    with pytest.raises((JoseError, ValueError)):
        proved(tokens[0], kept[3], at)


async def test_the_keys_are_open_to_all_kept_a_while_and_without_a_private_part(client: Client):
    del client.headers["authorization"]
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300, stale-if-error=86400"
    assert answer.headers["content-type"] == "application/json"
    assert [set(each) for each in answer.json()["keys"]] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}] * 2
    assert [each["kid"] for each in answer.json()["keys"]] == ["2026-09", "2026-03"]
    assert KEY["d"] not in answer.text
    again = await client.get("/.well-known/jwks.json", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        (SIGNED, {}, 400, "channel_required"),
        (SIGNED, {"channel": "mobile", "at": "2026-10-01T00:00:00Z"}, 400, "malformed_request"),
        (SIGNED, {"channel": "mobile", "foo": "1"}, 400, "malformed_request"),
        ("/v1/accounts/nobody/entitlements.jwt", {"channel": "mobile"}, 404, "unknown_account"),
    ],
)
async def test_what_cannot_be_answered_is_not_signed(
    client: Client, path: str, query: dict[str, str], status: int, code: str
):
    answer = await client.get(path, params=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_without_a_key_nothing_is_signed_and_without_the_store_nothing_is_said(
    database: Database, clock: FixedClock, key: str, at: datetime
):
    await settle_town(database, at)
    async with asking(doors(database, FactsReader(database), clock, keys_of()), key) as desk:
        assert (await desk.get(SIGNED, params=MOBILE)).status_code == 404
        assert (await desk.get("/.well-known/jwks.json")).json() == {"keys": []}
    gone = Database(NOWHERE)
    async with asking(doors(database, FactsReader(gone), clock, keys_of(KEY)), key) as desk:
        assert (await desk.get(SIGNED, params=MOBILE)).status_code == 503
        assert (await desk.get("/.well-known/jwks.json")).status_code == 200
    await gone.close()


INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(account=st.text("abc123.:_-", min_size=1, max_size=64), at=INSTANTS, ahead=st.none() | st.integers(0, 10**6))
def test_a_token_ends_within_a_day_never_past_the_next_change_and_lives_long_where_nothing_is_ahead_i08(
    account: str, at: datetime, ahead: int | None
):
    valid_until = None if ahead is None else at + timedelta(seconds=ahead)
    ends = datetime.fromtimestamp(ends_at(account, valid_until, at), UTC)
    assert ends <= at + LONGEST
    if valid_until is None:
        assert ends > at + LONGEST - MOVES - timedelta(seconds=1)
    else:
        assert ends <= valid_until


def test_tokens_of_many_accounts_do_not_end_together_r135(at: datetime):
    ends = [ends_at(f"a{number}", None, at) for number in range(10_000)]
    busiest = max(ends.count(second) for second in set(ends[:500]))
    assert (len(set(ends)) > 5_000, busiest < 10) == (True, True)


def test_what_is_kept_is_bounded(at: datetime):
    tokens = Tokens(keys_of(KEY), ISSUER, AUDIENCE, most_kept=2)

    def token(account: str) -> bytes:
        return tokens.of(account, answers.all_of(account, "mobile", (), FEATURES.basic, None, at, at), None, at).body

    first, second = token("a1"), token("a2")
    assert token("a1") == first
    token("a3")
    assert (token("a1") == first, token("a2") == second) == (True, False)
