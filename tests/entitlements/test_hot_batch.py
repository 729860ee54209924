"""The hot door of batches and the typed route are one truth; short cuts on the way say what the long way says."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.kernel.bodies import check_text
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import BillingError
from entitlements import service
from entitlements.decision import decide_by_facts, yes_by, yes_until
from entitlements.facts import NO_SPAN, AccountFacts, Span
from entitlements.hot_batch import ROUTE
from entitlements.questions import PlainBatch, ask_many, plain_many
from entitlements.reader import FactsReader
from entitlements.snapshot.names import Names
from entitlements.snapshot.packed import instant, micros, only, pack, spans
from tests.entitlements.doors import GRANTS, settle_town
from tests.entitlements.strategies import ACCOUNTS, PUPILS_OF_ONE, REFS
from tests.entitlements.test_hot import ID, bearer
from tests.entitlements.twins import Answer, Held, Twins, put
from tests.overheard import counted, lines

pytestmark = pytest.mark.anyio

TARGET = ROUTE.encode()
JSON = (b"content-type", b"application/json")
PUPILS = [*GRANTS, "blocked", None]
BLOCKED = "of-blocked"
FAMILIES = [*(f"of-{pupil}" for pupil in GRANTS), BLOCKED]
ODD_CHECKS: list[Any] = [
    {"account": "a b", "feature": "messages"},
    {"account": "", "feature": "messages"},
    {"account": "a/b", "feature": "messages"},
    {"account": "b" * 65, "feature": "messages"},
    {"account": "big", "feature": "messages", "pupil": ""},
    {"account": "big", "feature": "messages", "pupil": "ż"},
    {"account": "big", "feature": "messages", "pupil": "trial\n"},
    {"account": "big", "feature": "m" * 65},
    {"account": "big", "feature": "mess\0ages"},
    {"account": "nobody", "feature": "messages", "pupil": "trial"},
    {"account": "big", "feature": "foo", "pupil": "trial"},
    {"account": "big", "feature": "messages", "pupil": None},
    {"account": "big", "feature": "messages", "pupil": "trial", "x": 1},
    {"account": "a:b:c", "feature": "messages", "pupil": ":"},
    {"account": "big"},
    7,
]
ODD_BODIES: list[bytes] = [
    b"",
    b"{",
    b"\xef\xbb\xbf{}",
    b'{"channel": "mobile", "checks": []}',
    b'{"channel": "mobile", "checks": [{"account": "small", "feature": "mess\xffages"}]}',
    b'{"channel": "mobile", "channel": "web", "checks": [{"account": "small", "feature": "messages"}]}',
    b'{"channel": "mobile", "checks": [{"account": "small", "account": "big", "feature": "messages"}]}',
    b'{"channel": "mobile", "checks": [{"account": "sm\\u0061ll", "feature": "messages"}]}',
    b'{"channel": "mobile", "checks": [{"account": "small", "feature": "messages"}]} {}',
    b'{"channel": "mobile", "checks": [{"account": "small", "feature": "messages"}], "answer": "long"}',
]


@pytest.fixture
async def twins(database: Database, clock: FixedClock, at: datetime, key: str) -> Twins:
    """The town behind both doors, with all of it at hand; there are families with one pupil, as most are."""
    await settle_town(database, at)
    async with database.begin() as session:
        for account in FAMILIES:
            await service.put_account(session, account)
            await service.put_link(session, account, account.removeprefix("of-"), "sp5", at)
        await service.put_link(session, BLOCKED, "blocked", "sp6", at)
        await service.add_grant(
            session,
            pupil="nothing",
            source="granted",
            origin="grt_free_as_well",
            features=["messages", "grades"],
            since=at,
            until=at + timedelta(days=9),
            at=at,
        )
    return await Twins.of_town(database, clock, key, *FAMILIES)


def a_check(dice: random.Random) -> dict[str, Any]:
    pupil = dice.choice(PUPILS)
    account = dice.choice(["big", "small", "empty", f"of-{pupil}", f"of-{pupil}"] if pupil else ["small", *FAMILIES])
    check = {"account": account, "feature": dice.choice(["messages", "homework", "grades", "push_notifications"])}
    return check if pupil is None else check | {"pupil": pupil}


def a_body(dice: random.Random) -> bytes:
    checks = [a_check(dice) for _ in range(dice.choice([1, 1, 2, 5, 20]))]
    asked: dict[str, Any] = {"channel": dice.choice(["mobile", "mobile", "mobile", "web"]), "checks": checks}
    if dice.random() < 0.7:
        asked["answer"] = dice.choice(["compact", "full"])
    odd = dice.random()
    if odd < 0.15:
        checks.insert(dice.randrange(len(checks) + 1), dice.choice(ODD_CHECKS))
    elif odd < 0.3:
        asked |= dice.choice([{"at": "2026-11-30T00:00:00Z"}, {"consistency": "strong"}, {"consistency": "default"}])
    elif odd < 0.35:
        asked["checks"] = checks * 501
    body = json.dumps(asked, ensure_ascii=dice.random() < 0.5, separators=dice.choice([(",", ":"), (", ", ": ")]))
    return dice.choice(ODD_BODIES) if dice.random() < 0.1 else body.encode()


async def post(app: Any, body: bytes, *more: tuple[bytes, bytes], target: bytes = TARGET, cut: int = 0) -> Answer:
    length = (b"content-length", str(len(body)).encode())
    pieces = [body[:cut], body[cut:]] if cut else [body]
    return await put(app, "POST", target, [(b"host", b"desk.test"), ID, length, *more], pieces)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_asked_at_once_both_doors_send_the_same_bytes_and_tell_the_same_of_it(
    twins: Twins, key: str, told: TextIO, seed: int
):
    dice, asked = random.Random(seed), 0
    for _ in range(250):
        body, target = a_body(dice), TARGET
        headers = [bearer(key), JSON]
        odd = dice.random()
        if odd < 0.1:
            kind = dice.choice([b"text/plain", b"Application/JSON", b"application/json; charset=utf-8", b""])
            headers[1] = (b"content-type", kind)
        elif odd < 0.2:
            headers.append(dice.choice([JSON, bearer(key), (b"content-encoding", b"gzip"), (b"accept", b"text/html")]))
        elif odd < 0.25:
            headers[0] = dice.choice([bearer("edk_test_wrong"), (b"x-other", b"no key")])
        elif odd < 0.3:
            target += dice.choice([b"?consistency=strong", b"?channel=mobile", b"/", b"?"])
        cut = dice.choice([0, 0, min(7, len(body))])
        typed = await post(twins.typed, body, *headers, target=target, cut=cut)
        said = lines(told)
        hot = await post(twins.hot, body, *headers, target=target, cut=cut)
        asked += 1
        assert hot == typed, (body, target, headers)
        assert lines(told) == said, (body, target)
    assert asked / 10 < asked - twins.passed.times < asked * 9 / 10


@pytest.mark.parametrize("answer", ["compact", "full"])
async def test_plain_batches_are_answered_at_the_hot_door_whatever_the_answers(twins: Twins, key: str, answer: str):
    names = [*GRANTS, "blocked", "nobody"]
    checks = [
        {"account": "big", "feature": feature, "pupil": pupil} for pupil in names for feature in ("messages", "grades")
    ]
    checks += [
        {"account": account, "feature": feature, "pupil": pupil}
        for account in FAMILIES
        for feature in ("messages", "grades")
        for pupil in (account.removeprefix("of-"), "stranger")
    ]
    checks += [{"account": "small", "feature": "messages"}, {"account": "big", "feature": "messages"}]
    for asked in (checks, checks[:1], [{"account": "small", "feature": "homework", "pupil": "trial"}] * 500):
        body = json.dumps({"channel": "mobile", "checks": asked, "answer": answer}).encode()
        hot = await post(twins.hot, body, bearer(key), JSON)
        assert hot == await post(twins.typed, body, bearer(key), JSON)
        assert hot[0] == 200
    assert twins.passed.times == 0


async def test_a_batch_is_counted_and_logged_once_at_the_hot_door(twins: Twins, key: str, told: TextIO):
    before = counted("POST", ROUTE, 200)
    body = b'{"channel": "mobile", "checks": [{"account": "small", "feature": "messages"}], "answer": "compact"}'
    _, headers, _ = await post(twins.hot, body, bearer(key), JSON)
    (line,) = lines(told)
    assert (counted("POST", ROUTE, 200), twins.passed.times) == (before + 1, 0)
    assert line["request_id"] == dict(headers)[b"x-request-id"].decode()
    assert not any("small" in str(value) for value in line.values())


async def test_a_batch_with_one_account_that_is_not_at_hand_is_passed_on_whole(twins: Twins, key: str):
    checks = [{"account": "small", "feature": "messages"}, {"account": "nobody", "feature": "messages"}]
    body = json.dumps({"channel": "mobile", "checks": checks, "answer": "compact"}).encode()
    _, _, told = await post(twins.hot, body, bearer(key), JSON, cut=11)
    assert (json.loads(told)["allowed"], twins.passed.times) == ([True, None], 1)


class Garbled(Held):
    """What it keeps cannot be read."""

    def spans_at_hand(self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]) -> list[Span]:
        raise ValueError(accounts, pupils, features)


async def test_a_defect_behind_the_hot_door_of_batches_is_told_and_the_typed_route_answers(
    database: Database, clock: FixedClock, at: datetime, key: str, told: TextIO
):
    await settle_town(database, at)
    twins = Twins(database, Garbled(FactsReader(database)), clock)
    await twins.warm(key)
    body = b'{"channel": "mobile", "checks": [{"account": "small", "feature": "messages"}], "answer": "compact"}'
    hot = await post(twins.hot, body, bearer(key), JSON)
    assert (hot[0], json.loads(hot[2])["allowed"], twins.passed.times) == (200, [True], 1)
    assert lines(told)[0]["event"] == "hot_batch_failed"


FEW_PUPILS = st.builds(AccountFacts, REFS, st.lists(PUPILS_OF_ONE, min_size=1, max_size=2).map(tuple))


@settings(max_examples=1000)
@given(FEW_PUPILS | ACCOUNTS, st.sampled_from(["messages", "desk_view"]), st.data())
def test_a_yes_by_the_span_alone_is_the_yes_of_the_decision_and_ends_with_it_i05(
    facts: AccountFacts, feature: str, data: st.DataObject
):
    pupil = data.draw(st.sampled_from(["stranger", None, *(each.pupil for each in facts.pupils)]))
    edges = [edge for each in facts.pupils for right in each.grants for edge in (right.since, right.until) if edge]
    inside = [edge for edge in edges if datetime(1971, 1, 1, tzinfo=UTC) < edge < datetime(9999, 1, 1, tzinfo=UTC)]
    at = data.draw(st.sampled_from(inside or [datetime(2026, 9, 1, tzinfo=UTC)]))
    at += timedelta(microseconds=data.draw(st.integers(-1, 1)))
    names = Names()
    asked = [pack(facts, names)], [(pupil or "").encode()], [names.bits.get(feature, 0)]
    (span,), (right,) = spans(*asked), only(*asked, names)
    (until,) = yes_until([span], micros(at))
    try:
        meant = facts.of(pupil)
    except BillingError:
        assert (span, right) == (NO_SPAN, None)
        return
    decision = decide_by_facts(meant, feature, at, at)
    if until:
        assert (decision.allowed, decision.valid_until) == (True, instant(until))
        assert right is not None
        assert yes_by(meant.pupil, feature, right, at) == decision
    else:
        is_plain = len(facts.pupils) == len(meant.grants) == 1 and not meant.blocks
        assert not (is_plain and decision.allowed and decision.valid_until)
        assert right is None or yes_by(meant.pupil, feature, right, at) is None


CHECK = st.fixed_dictionaries(
    {
        "account": st.sampled_from(["a", "a:b", "", "a b", "a/b", "a" * 64, "a" * 65]),
        "feature": st.sampled_from(["f", ":"]),
    },
    optional={"pupil": st.sampled_from(["p", ":", "", "p q", None, "ż"])},
)


@given(st.lists(CHECK, max_size=4), st.data())
def test_a_batch_that_is_called_plain_is_what_the_careful_reading_says(checks: list[Any], data: st.DataObject):
    asked: dict[str, Any] = {"channel": data.draw(st.sampled_from(["mobile", "web", "tv"])), "checks": checks}
    asked |= data.draw(
        st.sampled_from([{}, {"answer": "compact"}, {"answer": None}, {"consistency": "default"}, {"x": ":"}])
    )
    text = json.dumps(asked)
    twice = data.draw(st.sampled_from([None, '"account": "a"', '"pupil": "p"', '"channel": "mobile"', '"x": 1']))
    if twice is not None:
        places = [place for place, letter in enumerate(text) if letter == "{"]
        place = data.draw(st.sampled_from(places)) + 1
        text = f"{text[:place]}{twice}{',' if text[place] != '}' else ''}{text[place:]}"
    body = text.replace(": ", data.draw(st.sampled_from([": ", ":", " : "]))).encode()
    told = plain_many(body)
    if told is None:
        return
    check_text(body)
    batch = ask_many(body, ())
    plain = [msgspec.structs.asdict(check) for check in told.checks]
    assert plain == [msgspec.structs.asdict(check) for check in batch.checks]
    assert (told.channel, told.compact, batch.at, batch.strong) == (batch.channel, batch.compact, None, False)
    refs = [(check["account"].encode(), (check["pupil"] or "").encode()) for check in plain]
    assert refs == list(zip(told.accounts, told.pupils, strict=True))


@pytest.mark.parametrize("ref", ["", "a b", " ", "a/b", "a\t", "ż", "a" * 65, "a\\u0061"])
@pytest.mark.parametrize("whose", ["account", "pupil"])
def test_a_batch_with_a_reference_that_is_none_is_not_plain(ref: str, whose: str):
    checks = [
        {"account": "a", "feature": "f", "pupil": "p"},
        {"account": "a", "feature": "f", "pupil": "p"} | {whose: ref},
    ]
    body = json.dumps({"channel": "mobile", "checks": checks}, ensure_ascii=False).replace("\\\\", "\\").encode()
    assert plain_many(body) is None
    assert plain_many(body.replace(json.dumps(ref, ensure_ascii=False).encode(), b'"b"')) is not None or "\\" in ref


def test_the_ways_in_which_a_plain_batch_may_be_written_are_plain():
    body = b'{"channel":"mobile","checks":[{"account":"s:1","feature":"f","pupil":"p"},{"feature":"f","account":"b"}]}'
    for written in (body, body.replace(b":", b" : ").replace(b"s : 1", b"s:1"), body.replace(b",", b" ,\n")):
        assert isinstance(plain_many(written), PlainBatch)
