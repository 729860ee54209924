import random
from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from webhooks.signature import LONGEST_HEADER, MOST_SIGNATURES, sign, verdict

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
STAMP = int(AT.timestamp())
SECRET = "whsec_one"
BODY = b'{"id": "evt_1", "amount": 4499}'
GOOD = sign(BODY, SECRET, STAMP)
MAC = GOOD.partition(b"v1=")[2]


def test_the_header_that_the_library_makes_is_taken() -> None:
    signed = f"{STAMP}.{BODY.decode()}"
    made = stripe.WebhookSignature._compute_signature(signed, SECRET)  # pyright: ignore[reportPrivateUsage]
    assert f"t={STAMP},v1={made}".encode() == GOOD
    assert verdict(BODY, GOOD, [SECRET], AT) == "genuine"
    assert stripe.WebhookSignature.verify_header(BODY.decode(), GOOD.decode(), SECRET)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "missing"),
        (b"", "missing"),
        (b"garbage", "malformed"),
        (b"t=1", "malformed"),
        (b"v1=" + MAC, "malformed"),
        (GOOD.replace(b"v1=", b"v0="), "malformed"),
        (GOOD + b",", "malformed"),
        (b" " + GOOD, "malformed"),
        (GOOD.replace(b",", b", "), "malformed"),
        (b"t=%d,%b" % (STAMP, GOOD), "malformed"),
        (GOOD.replace(b"t=", b"t=0"), "malformed"),
        (GOOD.replace(b"t=", b"t=+"), "malformed"),
        (b"t=%d.0,v1=%b" % (STAMP, MAC), "malformed"),
        (b"t=1e9,v1=" + MAC, "malformed"),
        (b"t=1_788_249_600,v1=" + MAC, "malformed"),
        (b"t=" + b"9" * 5000 + b",v1=" + MAC, "malformed"),
        (b"t=%d,v1=%b" % (STAMP, MAC.upper()), "mismatch"),
        (b"t=%d,v1=\xff\xfe" % STAMP, "mismatch"),
        (b"t=%d,v1=\x00" % STAMP, "mismatch"),
        (b"t=%d,v1=" % STAMP, "mismatch"),
        (b"t=%d,v1=%b" % (STAMP, bytes(64)), "mismatch"),
        (b"t=%d,v1=%b" % (STAMP, MAC[:-1]), "mismatch"),
    ],
)
def test_s01_s02_anything_but_the_one_spelling_is_refused(header: bytes | None, said: str) -> None:
    assert verdict(BODY, header, [SECRET], AT) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-301, "too_old"),
        (-300, "genuine"),
        (0, "genuine"),
        (300, "genuine"),
        (301, "too_new"),
        (315_360_000, "too_new"),
    ],
)
def test_s05_a_signature_holds_for_300_seconds_on_both_sides(seconds: int, said: str) -> None:
    assert verdict(BODY, sign(BODY, SECRET, STAMP + seconds), [SECRET], AT) == said


def test_s02_only_the_first_eight_signatures_are_looked_at() -> None:
    wrong = b",v1=" + b"0" * 64
    start = b"t=%d" % STAMP
    assert verdict(BODY, start + wrong * (MOST_SIGNATURES - 1) + b",v1=" + MAC, [SECRET], AT) == "genuine"
    assert verdict(BODY, start + wrong * MOST_SIGNATURES + b",v1=" + MAC, [SECRET], AT) == "mismatch"
    assert verdict(BODY, start + wrong * 100_000 + b",v1=" + MAC, [SECRET], AT) == "malformed"
    assert len(start + wrong * 60) < LONGEST_HEADER


def test_s07_during_a_roll_both_secrets_hold_and_afterwards_only_the_new_one() -> None:
    old, new = sign(BODY, "whsec_old", STAMP), sign(BODY, "whsec_new", STAMP)
    both = old + b",v1=" + new.partition(b"v1=")[2]
    for header in (old, new, both):
        for secrets in (("whsec_old", "whsec_new"), ("whsec_new", "whsec_old")):
            assert verdict(BODY, header, secrets, AT) == "genuine"
    assert verdict(BODY, old, ("whsec_new",), AT) == "mismatch"
    assert verdict(BODY, both, ("whsec_new",), AT) == "genuine"


def test_s08_a_blank_secret_or_none_signs_nothing() -> None:
    assert verdict(BODY, sign(BODY, "", STAMP), ("",), AT) == "mismatch"
    assert verdict(BODY, GOOD, (), AT) == "mismatch"
    assert verdict(BODY, GOOD, ("", SECRET), AT) == "genuine"


def test_i29_of_100000_changed_requests_none_is_taken_and_none_raises() -> None:
    dice = random.Random(20260901)
    for _ in range(100_000):
        body, header = bytearray(BODY), bytearray(GOOD)
        target = body if dice.random() < 0.5 else header
        change = dice.randrange(4)
        place = dice.randrange(len(target))
        if change == 0:
            target[place] ^= 1 << dice.randrange(8)
        elif change == 1:
            target.insert(place, dice.randrange(256))
        elif change == 2:
            del target[place]
        else:
            target[place:] = dice.randbytes(dice.randrange(64))
        if (bytes(body), bytes(header)) != (BODY, GOOD):
            assert verdict(bytes(body), bytes(header), [SECRET], AT) != "genuine", (body, header)


@given(st.binary(max_size=300), st.binary(max_size=300), st.lists(st.text(max_size=20), max_size=3), st.datetimes())
def test_i29_any_bytes_get_an_answer_and_never_yes(
    body: bytes, header: bytes, secrets: list[str], at: datetime
) -> None:
    assert verdict(body, header, secrets, at.replace(tzinfo=UTC)) in {
        "missing", "malformed", "too_old", "too_new", "mismatch",
    }  # fmt: skip


@given(st.binary(max_size=2000), st.text(min_size=1, max_size=40), st.integers(-300, 300))
def test_whatever_is_signed_rightly_is_taken(body: bytes, secret: str, seconds: int) -> None:
    header = sign(body, secret, STAMP)
    assert verdict(body, header, [secret], AT + timedelta(seconds=seconds)) == "genuine"
