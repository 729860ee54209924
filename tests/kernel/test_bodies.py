"""Bodies: one decoder's truth, every fault named, nothing half-read (F54, S66, S67)."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.kernel.bodies import DEEPEST, check_text, faults_in
from billing.kernel.errors import Fault, Malformed
from billing.kernel.ids import Ref

BAD = {
    "no text": (b"", "not_json"),
    "blank": (b" \n", "not_json"),
    "latin-1": ('{"a": "Łódź"}'.encode("iso-8859-2"), "not_utf8"),
    "utf-16": ('{"a": 1}'.encode("utf-16"), "not_utf8"),
    "utf-16 without mark": ('{"a": 1}'.encode("utf-16-le"), "nul"),
    "byte order mark": (b"\xef\xbb\xbf{}", "byte_order_mark"),
    "cut in a letter": (b'{"a": "\xc5"}', "not_utf8"),
    "overlong": (b'"\xc0\xaf"', "not_utf8"),
    "surrogate in utf-8": (b'"\xed\xa0\x80"', "not_utf8"),
    "nul": (b'{"a": "\0"}', "nul"),
    "escaped nul": (rb'{"a": "\u0000"}', "nul"),
    "nul after a backslash": (rb'{"a": "\\\u0000"}', "nul"),
    "lone surrogate": (rb'{"a": "\ud800"}', "not_json"),
    "lone surrogate as a key": (rb'{"\ud800": 1}', "not_json"),
    "lone surrogate twice as a key": (rb'{"\ud800": 1, "\ud800": 1}', "not_json"),
    "pair the wrong way": (rb'"\udc00\ud800"', "not_json"),
    "control letter": (b'"\x01"', "not_json"),
    "not a number": (b'{"a": NaN}', "not_json"),
    "infinity": (b'{"a": -Infinity}', "not_json"),
    "too big a number": (b'{"a": 1e400}', "not_json"),
    "too long a number": (b"1" * 5000, "not_json"),
    "two documents": (b"{} {}", "not_json"),
    "trailing comma": (b"[1,]", "not_json"),
    "comment": (b"{} // x", "not_json"),
    "key twice": (b'{"a": 1, "a": 2}', "duplicate_key"),
    "key twice deep": (b'{"a": [{"b": 1, "b": 1}]}', "duplicate_key"),
    "key twice by escape": (rb'{"a": 1, "\u0061": 2}', "duplicate_key"),
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
    "deep open lists": (b"[" * 900_000, "too_deep"),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "too_deep"),
    "deeper by one": (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "too_deep"),
}
GOOD = (
    b"{}", b"[]", b"null", b"0", b"-0.0", b'"\\ud83d\\ude00"', rb'"\\u0000"', '"Łódź"'.encode(), b" {} ",
    b'"' + b"[" * 1000 + b'"', b'"\\"' + b"[" * 1000 + b'"', b"[" * DEEPEST + b"]" * DEEPEST, b'[{"a": 1}, {"a": 2}]',
    b"[" + b"[]," * 1000 + b"[]]", b"9" * 300,
)  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_is_refused_with_its_reason(name: str) -> None:
    body, code = BAD[name]
    with pytest.raises(Malformed) as caught:
        check_text(body)
    assert [fault.code for fault in caught.value.faults] == [code]
    assert caught.value.code == "malformed_body"
    msgspec.json.encode(caught.value.faults)


@pytest.mark.parametrize("body", GOOD)
def test_a_plain_document_passes(body: bytes) -> None:
    check_text(body)


HOSTILE = {
    "escaped quotes that never end": (b'\\"', b""),
    "a string of escaped quotes that never ends": (b'\\"', b'"'),
    "quotes": (b'"', b"\\"),
    "a key again and again": (b'"a":1,', b"{"),
    "two keys again and again": (b'"a":1,"b":1,', b"{"),
    "numbers just not too long": (b"1" * 299 + b",", b"["),
    "backslashes": (b"\\", b'"'),
    "escaped zeros": (rb"\\u0000", b'"'),
    "lists": (b"[],", b"["),
    "lists in lists": (b"[[],[]],", b"["),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_s70_a_hostile_body_is_refused_without_much_work(name: str) -> None:
    """Ten times the body is some ten times the work, where a quadratic reader takes minutes; a collection of garbage in
    a process full of tests may fall into it."""
    piece, before = HOSTILE[name]

    def work(size: int) -> Iterator[float]:
        body = before + piece * (size // len(piece))
        for end in (b"", b"0]", b'"z":0}'):
            begun = time.thread_time()
            with contextlib.suppress(Malformed):
                check_text(body + end)
            yield time.thread_time() - begun

    little, much = max(work(50_000)), max(work(500_000))
    assert much < max(2.0, 40 * little)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"a":')
def test_any_bytes_are_either_refused_or_read_by_every_decoder_alike(body: bytes) -> None:
    """Never an exception of another kind, and never a body that the framework's decoder trips over later."""
    try:
        check_text(body)
    except Malformed as refused:
        msgspec.json.encode(refused.faults)
        return
    assert msgspec.json.decode(body) == json.loads(body)


@given(JSON)
def test_every_ordinary_document_passes(value: Any) -> None:
    check_text(json.dumps(value).encode())
    check_text(json.dumps(value, ensure_ascii=False).encode())


class Pupil(msgspec.Struct, forbid_unknown_fields=True):
    pupil: Ref
    features: list[str]


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    account: Ref
    count: int
    pupils: list[Pupil]
    note: str | None = None


def test_every_fault_is_named_with_its_place() -> None:
    """R: all faults at once, each with a JSON pointer (RFC 6901)."""
    body = {"account": "Ł", "a/b~c": 1, "pupils": [{"pupil": "p1", "features": ["a", 7]}, {"extra": 1}, 3], "note": 5}
    found = {(fault.pointer, fault.code) for fault in faults_in(json.dumps(body).encode(), Wanted)}
    assert found == {
        ("/account", "invalid"),
        ("/a~1b~0c", "unknown_field"),
        ("/count", "missing"),
        ("/pupils/0/features/1", "invalid"),
        ("/pupils/1/pupil", "missing"),
        ("/pupils/1/features", "missing"),
        ("/pupils/1/extra", "unknown_field"),
        ("/pupils/2", "invalid"),
        ("/note", "invalid"),
    }


def test_a_body_of_another_kind_is_one_fault() -> None:
    assert faults_in(b"[1, 2]", Wanted) == (Fault("", "invalid", "Expected an object"),)


@given(JSON)
def test_faults_are_found_exactly_where_the_decoder_refuses(value: Any) -> None:
    body = json.dumps(value).encode()
    try:
        msgspec.json.decode(body, type=Wanted)
    except msgspec.ValidationError:
        assert faults_in(body, Wanted)
    else:
        assert faults_in(body, Wanted) == ()


@given(st.fixed_dictionaries({"account": st.from_regex(r"[a-z]{1,9}", fullmatch=True), "count": st.integers(0, 9),
                              "pupils": st.just([])}, optional={"note": st.text(max_size=5)}))  # fmt: skip
def test_a_right_body_has_no_fault(value: dict[str, Any]) -> None:
    body = msgspec.json.encode(value)
    msgspec.json.decode(body, type=Wanted)
    assert faults_in(body, Wanted) == ()
