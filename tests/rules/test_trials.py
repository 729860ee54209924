"""When a trial ends and by when its people must be told (R20, R21)."""
# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and a zone apart

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.values import TrialPolicy
from billing.kernel.days import day_of, start_of, within_hours
from billing.trials import rules
from billing.trials.rules import Telling

WARSAW = ZoneInfo("Europe/Warsaw")
FIRST, LAST = date(2026, 1, 1), date(2037, 12, 31)
ALL_DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
PLAIN = TrialPolicy(length_days=30)
TELLINGS: list[Telling] = ["planned", "handed_over", "bounced"]

days = st.dates(FIRST, LAST)
policies = st.builds(
    TrialPolicy,
    length_days=st.integers(1, 366),
    common_end=st.none() | days,
    notice_days=st.integers(1, 60),
    lead_days=st.integers(1, 30),
    send_hours=st.sampled_from([(8, 20), (6, 22), (9, 17)]),
)


def midnights_between(earlier: datetime, later: datetime) -> int:
    """How many whole Warsaw days lie between, counted one midnight at a time by the zone's own rules."""
    count, on = 0, earlier.astimezone(WARSAW).date()
    while True:
        on += timedelta(days=1)
        if datetime(on.year, on.month, on.day, tzinfo=WARSAW) > later:
            return count
        count += 1


def test_the_sample_of_days_holds_every_clock_night_and_leap_day_of_twelve_years() -> None:
    lengths = [(start_of(after) - start_of(before)) for before, after in pairwise(ALL_DAYS)]
    assert (lengths.count(timedelta(hours=23)), lengths.count(timedelta(hours=25))) == (12, 12)
    assert [on for on in ALL_DAYS if (on.month, on.day) == (2, 29)] == [
        date(2028, 2, 29),
        date(2032, 2, 29),
        date(2036, 2, 29),
    ]


def test_r21_on_every_day_of_twelve_years_whoever_is_told_in_time_has_seven_whole_warsaw_days_left() -> None:
    for reverts in ALL_DAYS:
        last_moment = rules.told_by(PLAIN, reverts) - timedelta(microseconds=1)
        assert midnights_between(last_moment, start_of(reverts)) == 7 + 1, reverts
        assert day_of(last_moment) == reverts - timedelta(days=8)
        assert midnights_between(rules.told_by(PLAIN, reverts), start_of(reverts)) == 7, reverts


def test_r27_on_every_day_of_twelve_years_telling_begins_at_eight_and_leaves_three_sending_days() -> None:
    for reverts in ALL_DAYS:
        begins = rules.tell_from(PLAIN, reverts)
        assert begins.astimezone(WARSAW).hour == 8
        assert within_hours(begins, 8, 20)
        assert midnights_between(begins, rules.told_by(PLAIN, reverts)) == 3


def test_r21_on_every_day_of_twelve_years_a_prolonged_day_can_still_be_told_of_in_time() -> None:
    for today in ALL_DAYS:
        for at in (start_of(today), start_of(today + timedelta(days=1)) - timedelta(microseconds=1)):
            fresh = rules.prolonged(PLAIN, at)
            assert at < rules.tell_from(PLAIN, fresh) < rules.told_by(PLAIN, fresh) < start_of(fresh), today
            assert fresh > today + timedelta(days=7)


@given(policies, days)
def test_r21_under_any_policy_the_first_planned_day_leaves_time_to_tell(policy: TrialPolicy, started: date) -> None:
    reverts = rules.reverts_on(policy, started)
    end_of_the_first_day = start_of(started + timedelta(days=1)) - timedelta(microseconds=1)
    assert end_of_the_first_day < rules.told_by(policy, reverts)
    assert (start_of(reverts) - rules.told_by(policy, reverts)).days >= policy.notice_days - 1
    assert reverts - day_of(rules.told_by(policy, reverts)) == timedelta(days=policy.notice_days)
    assert rules.tell_from(policy, reverts) < rules.told_by(policy, reverts)


@given(policies, days)
def test_a_common_end_is_kept_wherever_it_still_can_be_told(policy: TrialPolicy, started: date) -> None:
    reverts = rules.reverts_on(policy, started)
    can_be_told = policy.common_end is not None and policy.common_end - started > timedelta(days=policy.notice_days)
    plain = started + timedelta(days=max(policy.length_days or 0, policy.notice_days + 1))
    assert reverts == (policy.common_end if can_be_told else plain)


@given(policies, st.datetimes(datetime(2026, 1, 1), datetime(2037, 12, 31), timezones=st.just(WARSAW)))
def test_r21_under_any_policy_a_prolonged_day_can_still_be_told_of(policy: TrialPolicy, at: datetime) -> None:
    fresh = rules.prolonged(policy, at)
    assert at < rules.tell_from(policy, fresh) < rules.told_by(policy, fresh)
    assert fresh - day_of(at) > timedelta(days=policy.notice_days)


@pytest.mark.parametrize(
    ("reverts", "ends", "told_by", "tell_from"),
    [
        (date(2026, 11, 30), "2026-11-29T23:00Z", "2026-11-22T23:00Z", "2026-11-20T07:00Z"),
        (date(2027, 3, 28), "2027-03-27T23:00Z", "2027-03-20T23:00Z", "2027-03-18T07:00Z"),
        (date(2027, 3, 29), "2027-03-28T22:00Z", "2027-03-21T23:00Z", "2027-03-19T07:00Z"),
        (date(2027, 10, 31), "2027-10-30T22:00Z", "2027-10-23T22:00Z", "2027-10-21T06:00Z"),
        (date(2027, 11, 1), "2027-10-31T23:00Z", "2027-10-24T22:00Z", "2027-10-22T06:00Z"),
        (date(2028, 3, 7), "2028-03-06T23:00Z", "2028-02-28T23:00Z", "2028-02-26T07:00Z"),
    ],
)
def test_r20_golden_instants_on_both_sides_of_the_clock_changes(
    reverts: date, ends: str, told_by: str, tell_from: str
) -> None:
    assert start_of(reverts) == datetime.fromisoformat(ends)
    assert rules.told_by(PLAIN, reverts) == datetime.fromisoformat(told_by)
    assert rules.tell_from(PLAIN, reverts) == datetime.fromisoformat(tell_from)


@given(st.lists(st.sampled_from(TELLINGS), max_size=6))
def test_i19_a_day_holds_only_when_everybody_was_told_and_there_is_somebody(tellings: list[Telling]) -> None:
    untold = [telling for telling in tellings if telling in {"planned", "bounced"}]
    assert rules.is_bound(tellings) == (bool(tellings) and not untold)
    assert not rules.is_bound([*tellings, "planned"])
    assert not rules.is_bound([*tellings, "bounced"])


@given(days, st.timedeltas(timedelta(days=-40), timedelta(days=40)), st.booleans(), st.booleans())
def test_r20_a_trial_ends_at_its_bound_end_exactly_and_never_unbound(
    reverts: date, off: timedelta, bound: bool, converted: bool
) -> None:
    ends = start_of(reverts)
    for at in (ends + off, ends - timedelta(microseconds=1), ends):
        state = rules.state_at(at, ends, is_bound=bound, is_converted=converted)
        assert (state == "converted") == converted
        assert (state == "ended") == (not converted and bound and at >= ends)
