"""Money, ids, tokens: small values that everything rests on."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id, parse, public
from billing.kernel.money import vat_included
from billing.kernel.outbox import LONGEST_WAIT, backoff
from billing.kernel.tokens import derived_token, new_token, pseudonym, token_hash

START = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("gross", "vat"),
    [(101, 19), (3599, 673), (3794, 709), (4398, 822), (4499, 841), (4999, 935), (13497, 2524)],
)
def test_vat_inside_a_gross_amount_is_that_of_the_golden_table(gross: int, vat: int) -> None:
    """R103."""
    assert vat_included(gross, 23) == vat


def test_three_lines_of_vat_are_not_the_vat_of_three_lines() -> None:
    """Why a document counts its VAT once (R103)."""
    assert (3 * vat_included(4499, 23), vat_included(3 * 4499, 23)) == (2523, 2524)


@given(st.integers(0, 10**9), st.sampled_from([0, 5, 8, 23]))
def test_vat_is_the_nearest_grosz_and_net_and_vat_make_the_gross(gross: int, rate: int) -> None:
    vat = vat_included(gross, rate)
    assert abs(vat * (100 + rate) * 2 - gross * rate * 2) <= 100 + rate
    assert 0 <= vat <= gross


@given(st.uuids())
def test_a_public_id_is_read_back_the_same(key: UUID) -> None:
    text = public("ord", key)
    assert parse("ord", text) == key
    assert len(text) == 30
    assert text == text.lower()


@given(st.uuids(), st.uuids())
def test_public_ids_sort_as_their_keys(one: UUID, other: UUID) -> None:
    assert (public("ord", one) < public("ord", other)) == (one < other)


@given(st.text(max_size=40) | st.from_regex(r"ord_[0-9a-zA-Z]{24,28}", fullmatch=True))
def test_no_text_but_the_one_spelling_is_an_id(text: str) -> None:
    """Two spellings of one id would be two cache keys, two locks, two rows of a list."""
    try:
        key = parse("ord", text)
    except NotFound:
        return
    assert public("ord", key) == text


@pytest.mark.parametrize("text", ["", "ord_", "ord", "sub_" + "0" * 26, "ord_" + "0" * 25, "ord_8" + "0" * 25,
                                  "ord_" + "0" * 25 + "l", "ORD_" + "0" * 26, "ord_" + "0" * 25 + "Z"])  # fmt: skip
def test_an_id_of_another_kind_or_shape_does_not_exist(text: str) -> None:
    """I26."""
    with pytest.raises(NotFound):
        parse("ord", text)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_fresh_id_is_a_uuid_of_version_7_with_its_instant(at: datetime) -> None:
    key = new_id(at)
    assert (key.version, key.variant) == (7, "specified in RFC 4122")
    assert key.int >> 80 == int(at.timestamp() * 1000)


def test_ten_thousand_ids_of_one_instant_differ() -> None:
    assert len({new_id(START) for _ in range(10_000)}) == 10_000


def test_ids_of_later_instants_sort_later() -> None:
    keys = [new_id(START + timedelta(milliseconds=n)) for n in range(1000)]
    assert keys == sorted(keys)


def test_tokens_are_long_unlike_and_fit_into_a_url() -> None:
    """R31: at least 128 bits."""
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(len(token) == 32 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)


def test_a_derived_token_can_be_said_again_and_by_nobody_without_the_secret() -> None:
    key = new_id(START)
    token = derived_token("secret", "order", key)
    assert token == derived_token("secret", "order", key)
    others = {derived_token("other", "order", key), derived_token("secret", "link", key),
              derived_token("secret", "order", new_id(START))}  # fmt: skip
    assert len(others | {token}) == 4
    assert len(token) == 32


def test_what_is_kept_of_a_secret_is_not_the_secret() -> None:
    """R19, R31: the pupil is remembered by a keyed hash, per season."""
    assert b"p1" not in pseudonym("secret", "trial:2026/27", "p1")
    assert pseudonym("secret", "trial:2026/27", "p1") != pseudonym("secret", "trial:2027/28", "p1")
    assert pseudonym("secret", "trial:2026/27", "p1") != pseudonym("other", "trial:2026/27", "p1")
    assert len(token_hash("token")) == 32


@given(st.text())
def test_any_text_from_a_url_can_be_looked_up(text: str) -> None:
    """Half a surrogate pair in a path must not be an internal error (F54)."""
    assert len(token_hash(text)) == 32


@given(st.integers(1, 1000))
def test_back_off_grows_and_stays_within_an_hour(tries: int) -> None:
    assert timedelta(seconds=5) <= backoff(tries) <= backoff(tries + 1) <= LONGEST_WAIT
