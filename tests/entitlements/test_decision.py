"""The decision, case by case: the instants of domain 8.4, trials nobody was told of, reasons, blocks."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing.kernel.days import start_of
from entitlements.decision import decide
from entitlements.facts import AccountFacts, Grant, PupilFacts, PupilRequired
from entitlements.features import FeatureList, UnknownFeature

FEATURES = FeatureList(basic=frozenset({"grades"}), add_ons=frozenset({"messages", "homework"}))
MILLISECOND = timedelta(milliseconds=1)
SEPTEMBER = datetime(2026, 9, 1, 8, tzinfo=UTC)
GOLDEN = [
    (date(2026, 11, 30), "2026-11-29T23:00:00+00:00"),
    (date(2026, 10, 25), "2026-10-24T22:00:00+00:00"),
    (date(2026, 10, 26), "2026-10-25T23:00:00+00:00"),
    (date(2027, 3, 28), "2027-03-27T23:00:00+00:00"),
    (date(2027, 3, 29), "2027-03-28T22:00:00+00:00"),
    (date(2027, 7, 1), "2027-06-30T22:00:00+00:00"),
]


def grant(source: Any, until: datetime | None, since: datetime = SEPTEMBER, **more: Any) -> Grant:
    return Grant(source, more.pop("origin", f"{source}_1"), frozenset({"messages"}), since, until, **more)


def ask(facts: PupilFacts, at: datetime, now: datetime | None = None, feature: str = "messages"):
    return decide(FEATURES, facts, feature, "mobile", at, now or at)


@pytest.mark.parametrize("source", ["trial", "paid", "sponsored", "granted", "grace"])
@pytest.mark.parametrize(("day", "instant"), GOLDEN)
def test_a_right_ends_at_midnight_in_warsaw_to_the_millisecond_r20_r131(source: str, day: date, instant: str):
    until = start_of(day)
    assert until.isoformat() == instant
    facts = PupilFacts("p1", (grant(source, until),))
    last, first = ask(facts, until - MILLISECOND), ask(facts, until)
    assert (last.allowed, last.reason, last.valid_until) == (True, source, until)
    assert (first.allowed, first.valid_until, first.sources) == (False, None, ())


def test_the_day_named_in_the_mail_is_the_first_day_of_basic_r20():
    facts = PupilFacts("p1", (grant("trial", start_of(date(2026, 11, 30))),))
    assert ask(facts, datetime(2026, 11, 29, 22, 59, 59, tzinfo=UTC)).allowed
    refused = ask(facts, datetime(2026, 11, 29, 23, 0, 0, tzinfo=UTC))
    assert (refused.allowed, refused.reason, refused.reverts_to) == (False, "trial_ended", "basic")
    assert refused.free_in_browser


@pytest.mark.parametrize(
    ("source", "end_reason", "reason"),
    [
        ("trial", None, "trial_ended"),
        ("paid", None, "pass_expired"),
        ("granted", None, "pass_expired"),
        ("sponsored", None, "sponsorship_ended"),
        ("grace", None, "payment_failed"),
        ("paid", "withdrawn", "withdrawn"),
        ("paid", "refunded", "refunded"),
        ("paid", "disputed", "disputed"),
        ("paid", "payment_failed", "payment_failed"),
        ("sponsored", "sponsorship_ended", "sponsorship_ended"),
    ],
)
def test_a_refusal_names_what_ended_last_r11(source: str, end_reason: str | None, reason: str):
    until = SEPTEMBER + timedelta(days=30)
    trial = grant("trial", SEPTEMBER + timedelta(days=10), origin="trl_old")
    facts = PupilFacts("p1", (grant(source, until, end_reason=end_reason), trial))
    assert ask(facts, until).reason == reason


def test_nothing_given_or_only_something_for_later_has_never_started():
    later = grant("paid", None, since=SEPTEMBER + timedelta(days=1))
    assert ask(PupilFacts("p1"), SEPTEMBER).reason == "never_started"
    before = ask(PupilFacts("p1", (later,)), SEPTEMBER)
    assert (before.allowed, before.reason, before.valid_until) == (False, "never_started", later.since)


def test_the_source_that_lasts_longest_names_the_reason_and_comes_first():
    end = SEPTEMBER + timedelta(days=90)
    facts = PupilFacts("p1", (grant("trial", end - timedelta(days=60)), grant("paid", end), grant("sponsored", end)))
    decision = ask(facts, SEPTEMBER)
    assert decision.reason == "paid"
    assert [source.source for source in decision.sources] == ["paid", "sponsored", "trial"]
    assert decision.valid_until == end - timedelta(days=60)


def test_an_instant_at_which_nothing_changes_is_no_valid_until_i08():
    never = grant("sponsored", SEPTEMBER + timedelta(days=1), since=SEPTEMBER + timedelta(days=1))
    facts = PupilFacts("p1", (grant("paid", None), never))
    assert ask(facts, SEPTEMBER).valid_until is None


def test_a_source_without_end_outlasts_every_other():
    facts = PupilFacts("p1", (grant("paid", SEPTEMBER + timedelta(days=300)), grant("granted", None)))
    assert ask(facts, SEPTEMBER).reason == "granted"


class TestATrialWhoseEndNobodyWasTold:
    """R21: a dead mailer costs free days, never an unannounced fall-back."""

    plan = start_of(date(2026, 11, 30))
    facts = PupilFacts("p1", (grant("trial", plan, bound=False),))

    def test_is_planned_to_end_for_questions_about_the_future(self):
        now = self.plan - timedelta(days=10)
        assert ask(self.facts, now).valid_until == self.plan
        assert ask(self.facts, self.plan - MILLISECOND, now).allowed
        assert not ask(self.facts, self.plan, now).allowed

    def test_runs_on_when_the_planned_day_has_passed(self):
        for now in (self.plan, self.plan + timedelta(days=5)):
            decision = ask(self.facts, now)
            assert (decision.allowed, decision.reason, decision.valid_until) == (True, "trial", None)
            assert decision.sources[0].until is None

    def test_has_no_known_end_then_for_questions_about_the_past_or_the_future_either(self):
        now = self.plan + timedelta(hours=1)
        assert ask(self.facts, self.plan + timedelta(minutes=1), now).allowed
        assert ask(self.facts, now + timedelta(days=400), now).allowed

    def test_ends_like_any_other_once_it_was_told(self):
        told = PupilFacts("p1", (grant("trial", self.plan, bound=True),))
        assert ask(told, self.plan).reason == "trial_ended"

    def test_does_not_hide_that_a_parent_has_paid(self):
        june = start_of(date(2027, 7, 1))
        facts = PupilFacts("p1", (*self.facts.grants, grant("paid", june)))
        decision = ask(facts, self.plan + timedelta(days=1))
        assert (decision.reason, decision.valid_until) == ("paid", june)


def test_a_school_block_wins_over_a_paid_pass_and_leaves_it_standing_r12():
    end = SEPTEMBER + timedelta(days=30)
    facts = PupilFacts("p1", (grant("paid", end),), {"messages": SEPTEMBER})
    decision = ask(facts, SEPTEMBER)
    assert (decision.allowed, decision.reason) == (False, "blocked_by_school")
    assert [source.id for source in decision.sources] == ["paid_1"]


def test_a_block_of_one_feature_leaves_the_others_alone_r12():
    wide = Grant("paid", "sub_1", frozenset({"messages", "homework"}), SEPTEMBER, None)
    facts = PupilFacts("p1", (wide,), {"messages": SEPTEMBER})
    assert not ask(facts, SEPTEMBER).allowed
    assert ask(facts, SEPTEMBER, feature="homework").allowed


def test_a_block_counts_from_its_own_instant():
    since = SEPTEMBER + timedelta(days=1)
    facts = PupilFacts("p1", (grant("paid", None),), {"messages": since})
    before = ask(facts, since - MILLISECOND)
    assert (before.allowed, before.valid_until) == (True, since)
    assert ask(facts, since).reason == "blocked_by_school"


def test_an_unlinked_pupil_is_told_nothing_but_that():
    decision = ask(PupilFacts("p9", (grant("paid", None),), linked=False), SEPTEMBER)
    assert (decision.allowed, decision.reason, decision.valid_until) == (False, "not_linked", None)
    assert decision.sources == ()


def test_the_answer_carries_a_notice_that_mail_could_not_bring_r29():
    assert ask(PupilFacts("p1", notice_pending=True), SEPTEMBER).notice_pending
    assert not ask(PupilFacts("p1"), SEPTEMBER).notice_pending


def test_an_unknown_feature_is_refused_by_name_in_every_channel_r8():
    for channel in ("mobile", "web"):
        with pytest.raises(UnknownFeature):
            decide(FEATURES, PupilFacts("p1"), "foo", channel, SEPTEMBER, SEPTEMBER)


def test_moving_a_feature_from_paid_to_basic_in_the_list_changes_the_answer_r8():
    moved = FeatureList(basic=frozenset({"grades", "homework"}), add_ons=frozenset({"messages"}))
    assert not ask(PupilFacts("p1"), SEPTEMBER, feature="homework").allowed
    assert decide(moved, PupilFacts("p1"), "homework", "mobile", SEPTEMBER, SEPTEMBER).reason == "basic"


def test_no_feature_is_both_basic_and_an_add_on():
    with pytest.raises(ValueError, match="grades"):
        FeatureList(basic=frozenset({"grades"}), add_ons=frozenset({"grades"}))


def test_the_pupil_may_go_unnamed_only_where_there_is_just_one():
    one = AccountFacts("a1", (PupilFacts("p1"),))
    two = AccountFacts("a1", (PupilFacts("p1"), PupilFacts("p2")))
    assert one.of(None).pupil == "p1"
    assert two.of("p2").linked
    assert not two.of("p3").linked
    for account in (two, AccountFacts("a1")):
        with pytest.raises(PupilRequired):
            account.of(None)
