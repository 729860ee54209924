"""Facts of every shape that the database can hold, and some that it cannot."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from billing.kernel.ids import public
from entitlements.facts import AccountFacts, Grant, PupilFacts


def _later(micros: int) -> datetime:
    return datetime(2026, 9, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _public(prefix: str, number: int) -> str:
    return public(prefix, UUID(int=number))


REFS = st.text("ABCZabcz0189._:-", min_size=1, max_size=64) | st.uuids().map(str)
INSTANTS = st.datetimes(timezones=st.just(UTC)) | st.builds(_later, st.integers(0, 10**14))
PUBLIC_IDS = st.builds(
    _public,
    st.sampled_from(["trl", "sub", "grt", "spn", "ord", "xyz"]),
    st.integers(0, 2**128 - 1),
)
ORIGINS = (
    PUBLIC_IDS | st.text(st.characters(codec="utf-8"), max_size=60) | st.just("trl_" + "z" * 26) | st.just("trl_1")
)
FEATURES = st.frozensets(st.sampled_from(["messages", "desk_view", "homework", "ź" * 20, "push"]), max_size=5)
GRANTS = st.builds(
    Grant,
    st.sampled_from(["trial", "paid", "sponsored", "granted", "grace"]),
    ORIGINS,
    FEATURES,
    INSTANTS,
    st.none() | INSTANTS,
    st.booleans(),
    st.sampled_from([None, "withdrawn", "refunded", "disputed", "payment_failed", "sponsorship_ended"]),
)
PUPILS = st.builds(
    PupilFacts,
    REFS,
    st.lists(GRANTS, max_size=4).map(tuple),
    st.dictionaries(st.sampled_from(["messages", "desk_view", "push"]), INSTANTS, max_size=3),
    st.booleans(),
)
PUPILS_OF_ONE = st.builds(
    PupilFacts,
    REFS,
    GRANTS.map(lambda grant: (grant,)),
    st.just({}) | st.just({}) | st.dictionaries(st.just("messages"), INSTANTS),
    st.booleans(),
)
"""Those with one right, as most have."""
ACCOUNTS = st.builds(AccountFacts, REFS, st.lists(PUPILS, max_size=4).map(tuple))
