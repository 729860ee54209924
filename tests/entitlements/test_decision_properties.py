"""The decision against a naive model, for every constellation Hypothesis finds (I05, I06, I08, R9-R12, R20, R21)."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from entitlements.decision import decide, decide_all, earliest_change
from entitlements.facts import EndReason, Grant, PupilFacts, Source
from entitlements.features import FeatureList
from tests.entitlements.naive import HORIZON, NaiveFacts, NaiveGrant, answer, next_change

EPOCH = datetime(2026, 11, 29, 22, 59, 59, 980_000, tzinfo=UTC)
STEP = timedelta(milliseconds=1)
FEATURES = FeatureList(basic=frozenset({"grades"}), add_ons=frozenset({"messages", "homework"}))
TICKS = st.integers(min_value=1, max_value=HORIZON - 24)


def instant(tick: int) -> datetime:
    return EPOCH + tick * STEP


@st.composite
def grants(draw: st.DrawFn, number: int = 0) -> NaiveGrant:
    source = draw(st.sampled_from(["trial", "paid", "sponsored", "granted", "grace"]))
    since = draw(TICKS)
    length = draw(st.none() | st.just(0) | st.integers(min_value=1, max_value=20))
    until = None if length is None else since + length
    bound = source != "trial" or draw(st.booleans())
    reasons = ["withdrawn", "refunded", "disputed", "payment_failed", "sponsorship_ended"]
    end_reason = draw(st.none() | st.sampled_from(reasons)) if bound and until is not None else None
    return NaiveGrant(source, f"grt_{number}", since, until, bound, end_reason, for_feature=draw(st.booleans()))


@st.composite
def worlds(draw: st.DrawFn) -> NaiveFacts:
    count = draw(st.integers(min_value=0, max_value=5))
    return NaiveFacts(
        grants=[draw(grants(number)) for number in range(count)],
        blocked_from=draw(st.none() | st.none() | TICKS),
    )


def real(facts: NaiveFacts) -> PupilFacts:
    made = [
        Grant(
            source=cast("Source", grant.source),
            origin=grant.origin,
            features=frozenset({"messages", "homework"} if grant.for_feature else {"homework"}),
            since=instant(grant.since),
            until=None if grant.until is None else instant(grant.until),
            bound=grant.bound,
            end_reason=cast("EndReason | None", grant.end_reason),
        )
        for grant in facts.grants
    ]
    blocks = {} if facts.blocked_from is None else {"messages": instant(facts.blocked_from)}
    return PupilFacts("p1", tuple(made), blocks)


def told(facts: PupilFacts, at: int, now: int) -> tuple[bool, str, frozenset[str]]:
    decision = decide(FEATURES, facts, "messages", "mobile", instant(at), instant(now))
    return decision.allowed, decision.reason, frozenset(source.id for source in decision.sources)


@settings(max_examples=600, deadline=None)
@given(worlds(), TICKS, TICKS)
def test_the_answer_and_its_valid_until_are_those_of_the_naive_model_at_every_instant(
    world: NaiveFacts, at: int, now: int
):
    decision = decide(FEATURES, real(world), "messages", "mobile", instant(at), instant(now))
    named = frozenset(source.id for source in decision.sources)
    assert (decision.allowed, decision.reason, named) == answer(world, at, now)
    change = next_change(world, at, now)
    assert decision.valid_until == (None if change is None else instant(change))


@settings(max_examples=200, deadline=None)
@given(worlds(), TICKS, TICKS)
def test_valid_until_is_honest_by_the_decisions_own_word_i08(world: NaiveFacts, at: int, now: int):
    facts = real(world)
    decision = decide(FEATURES, facts, "messages", "mobile", instant(at), instant(now))
    until = HORIZON if decision.valid_until is None else round((decision.valid_until - EPOCH) / STEP)
    first = told(facts, at, now)
    assert all(told(facts, tick, now) == first for tick in range(at, until))
    assert decision.valid_until is None or told(facts, until, now) != first


@settings(max_examples=200, deadline=None)
@given(worlds(), grants(99), TICKS, TICKS)
def test_one_more_grant_never_takes_a_right_away(world: NaiveFacts, more: NaiveGrant, at: int, now: int):
    richer = NaiveFacts([*world.grants, more], world.blocked_from)
    assert told(real(richer), at, now)[0] >= told(real(world), at, now)[0]


@settings(max_examples=200, deadline=None)
@given(worlds(), TICKS, TICKS, st.randoms())
def test_removing_one_source_never_changes_the_answer_while_another_covers(
    world: NaiveFacts, at: int, now: int, chance: Any
):
    allowed, _, sources = told(real(world), at, now)
    if len(sources) > 1:
        lost = chance.choice(sorted(sources))
        poorer = NaiveFacts([grant for grant in world.grants if grant.origin != lost], world.blocked_from)
        still, _, left = told(real(poorer), at, now)
        assert (still, left) == (allowed, sources - {lost})


@settings(max_examples=200, deadline=None)
@given(worlds(), TICKS, TICKS, st.randoms())
def test_the_order_in_which_grants_were_given_does_not_matter(world: NaiveFacts, at: int, now: int, chance: Any):
    shuffled = list(world.grants)
    chance.shuffle(shuffled)
    args = ("messages", "mobile", instant(at), instant(now))
    assert decide(FEATURES, real(world), *args) == decide(
        FEATURES, real(NaiveFacts(shuffled, world.blocked_from)), *args
    )


@settings(max_examples=200, deadline=None)
@given(worlds(), TICKS, TICKS, st.booleans())
def test_basic_features_and_the_browser_are_allowed_whatever_the_facts_are_r9_r10_i06(
    world: NaiveFacts, at: int, now: int, linked: Any
):
    facts = real(world)
    facts = PupilFacts("p1", facts.grants, facts.blocks, linked=linked)
    basic = decide(FEATURES, facts, "grades", "mobile", instant(at), instant(now))
    browser = decide(FEATURES, facts, "messages", "web", instant(at), instant(now))
    assert (basic.allowed, basic.reason, basic.valid_until) == (True, "basic", None)
    assert (browser.allowed, browser.reason, browser.valid_until) == (True, "browser", None)


@settings(max_examples=200, deadline=None)
@given(worlds(), TICKS, TICKS)
def test_the_whole_account_says_what_each_question_says(world: NaiveFacts, at: int, now: int):
    facts = real(world)
    together = decide_all(FEATURES, facts, "mobile", instant(at), instant(now))
    alone = [decide(FEATURES, facts, name, "mobile", instant(at), instant(now)) for name in ("homework", "messages")]
    assert list(together) == alone
    changes = [decision.valid_until for decision in alone if decision.valid_until is not None]
    assert earliest_change(together) == min(changes, default=None)
